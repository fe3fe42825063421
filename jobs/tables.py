"""Tables on the terminal that lose nothing: what is too long for a line goes on in the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text


def folding(*columns: str, **options: Any) -> Table:
    """A table with these columns.

    Args:
        columns: Their heads.
        options: Of Rich's ``Table``.
    """
    table = Table(**options)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def facts(rows: Mapping[str, str]) -> Table:
    """Names beside values, as a dry run prints them. Values stand as they are: a bracket in a path is no markup."""
    table = folding("name", "value", show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(Text(name, "bold"), Text(value))
    return table
