"""The headline numbers in a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.table import Table
from rich.text import Text

from pipeline.evaluation.headline import (
    COLUMNS,
    DIRECTION_COLUMNS,
    UNCERTAINTY_COLUMNS,
    Column,
    best,
    values,
)
from pipeline.evaluation.protocol import Evaluation

_WIDE = 120
"""Characters that all columns need."""
_ALWAYS = ("fr10", "auc10", "scatter")
_UNCERTAINTY = ("normal", "tangent", "bias", "r", "r_face", "cover50", "cover90", "nll")
_UNCERTAINTY_NARROW = ("bias", "r", "cover50", "cover90")
_UNCERTAINTY_CAPTION = (
    "r: correlation of |Σ|^(1/4) and error; In 50, 90 %: share in the ellipse that ought to hold so many."
)


def headline_tables(
    evaluations: Sequence[Evaluation],
    width: int | None = None,
    undecided: Collection[tuple[str, str]] = (),
) -> list[Table]:
    """Per protocol one table of errors, and one of the uncertainty where a run states it; runs are rows, the best in bold.

    Args:
        evaluations: Any number, of any protocols; numbers of different protocols never share a table.
        width: Characters there are; too few for all columns leave only the main ones. None for all.
        undecided: Protocol's name and column's key where none is set in bold, see ``significance.undecided``.
    """
    groups: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(evaluation.protocol_name, []).append(evaluation)
    narrow = width is not None and width < _WIDE
    tables = []
    for name, group in groups.items():
        unsure = {key for protocol, key in undecided if protocol == name}
        main = {group[0].protocol.normalisation, *_ALWAYS}
        shown = [c for c in COLUMNS if c.key in main or not narrow]
        tables.append(_table(Text(name, style="bold"), group, shown, _caption(group), unsure))
        stating = [e for e in group if e.uncertainty is not None]
        if stating:
            columns = (*DIRECTION_COLUMNS, *UNCERTAINTY_COLUMNS)
            shown = [c for c in columns if c.key in (_UNCERTAINTY_NARROW if narrow else _UNCERTAINTY)]
            title = Text("Uncertainty and direction of the errors", style="bold")
            tables.append(_table(title, stating, shown, Text(_UNCERTAINTY_CAPTION), unsure))
    return tables


def _table(
    title: Text,
    group: Sequence[Evaluation],
    shown: Sequence[Column],
    caption: Text,
    undecided: Collection[str],
) -> Table:
    # Text, never str: Rich would read square brackets in a run's name as mark-up.
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("Run", overflow="fold")
    table.add_column("Faces", justify="right")
    rows = [values(evaluation) for evaluation in group]
    columns = [c for c in shown if any(row[c.key] is not None for row in rows)]
    for column in columns:
        table.add_column(f"{column.label}\n{column.unit}", justify="right")
    winners = {c.key: set() if c.key in undecided else best(rows, c) for c in columns}
    for index, (evaluation, row) in enumerate(zip(group, rows, strict=True)):
        stamps = {
            "selected on test": evaluation.selected_on_test,
            "trained on test": evaluation.trained_on_test,
        }
        name = Text(evaluation.run + "".join(f" ({stamp})" for stamp, holds in stamps.items() if holds))
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
