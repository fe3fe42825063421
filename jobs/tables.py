"""Tables on the terminal that lose nothing: what is too long for a line goes on in the next."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text


def facts(rows: Mapping[str, str]) -> Table:
    """Names beside values, as a dry run prints them. Values stand as they are: a bracket in a path is no markup."""
    table = Table(show_header=False, box=None)
    for _ in ("name", "value"):
        table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(Text(name, "bold"), Text(value))
    return table
