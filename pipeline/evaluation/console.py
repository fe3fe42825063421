"""The headline numbers in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from pipeline.evaluation.headline import COLUMNS, best, values
from pipeline.evaluation.protocol import Evaluation

_WIDE = 120
"""Characters that all columns need."""
_ALWAYS = ("fr10", "auc10", "scatter")


def headline_tables(evaluations: Sequence[Evaluation], width: int | None = None) -> list[Table]:
    """One table per protocol, runs as rows, the best of each column in bold.

    Args:
        evaluations: Any number, of any protocols; numbers of different protocols never share a table.
        width: Characters there are; too few for all columns leave only the main ones. None for all.
    """
    groups: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(evaluation.protocol_name, []).append(evaluation)
    return [_table(name, group, width is not None and width < _WIDE) for name, group in groups.items()]


def _table(protocol: str, group: Sequence[Evaluation], narrow: bool) -> Table:
    # Text, never str: Rich would read square brackets in a run's name as mark-up.
    table = Table(
        title=Text(protocol, style="bold"),
        title_justify="left",
        caption=_caption(group),
        caption_justify="left",
    )
    table.add_column("Run", overflow="fold")
    table.add_column("Faces", justify="right")
    rows = [values(evaluation) for evaluation in group]
    shown = {group[0].protocol.normalisation, *_ALWAYS} if narrow else {c.key for c in COLUMNS}
    columns = [c for c in COLUMNS if c.key in shown and any(row[c.key] is not None for row in rows)]
    for column in columns:
        table.add_column(f"{column.label}\n{column.unit}", justify="right")
    winners = {column.key: best(rows, column) for column in columns}
    for index, (evaluation, row) in enumerate(zip(group, rows, strict=True)):
        name = Text(evaluation.run + (" (selected on test)" if evaluation.selected_on_test else ""))
        cells = [
            Text(column.text(row[column.key]), style="bold green" if index in winners[column.key] else "")
            for column in columns
        ]
        table.add_row(name, str(evaluation.headline.faces), *cells)
    return table


def _caption(group: Sequence[Evaluation]) -> Text:
    lines = [
        "FR: NME strictly above; AUC: exact area under the CED. Both under the protocol's normalisation."
    ]
    lines += [
        f"{e.run}: {e.headline.undefined} of {e.faces} faces have no defined NME and are left out."
        for e in group
        if e.headline.undefined
    ]
    return Text("\n".join(lines))
