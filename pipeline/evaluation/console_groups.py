"""The errors on groups of faces in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from pipeline.evaluation.groups import GroupSummary
from pipeline.evaluation.headline import ABSENT
from pipeline.evaluation.protocol import Evaluation


def group_tables(evaluations: Sequence[Evaluation]) -> list[Table]:
    """Per protocol one table of the groups that a set tells faces apart by: their number, each run's NME and its interval."""
    protocols: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        if evaluation.groups:
            protocols.setdefault(evaluation.protocol_name, []).append(evaluation)
    tables = []
    for runs in protocols.values():
        table = Table(
            title=Text("Groups of faces: NME, %, and its 95 % interval", style="bold"), title_justify="left"
        )
        for column in ("", "Group", "Faces"):
            table.add_column(column, justify="right" if column == "Faces" else "left", overflow="fold")
        by_run = [{(g.by, g.name): g for g in run.groups} for run in runs]
        for run in runs:
            table.add_column(Text(run.run), justify="right", overflow="fold")
        keys = list(dict.fromkeys(key for groups in by_run for key in groups))
        for place, key in enumerate(keys):
            first = place == 0 or keys[place - 1][0] != key[0]
            found = [groups.get(key) for groups in by_run]
            faces = next(str(group.faces) for group in found if group is not None)
            table.add_row(
                Text(key[0] if first else ""),
                Text(key[1]),
                faces,
                *map(_group_cell, found),
                end_section=place + 1 < len(keys) and keys[place + 1][0] != key[0],
            )
        tables.append(table)
    return tables


def _group_cell(group: GroupSummary | None) -> str:
    if group is None:
        return ABSENT
    return f"{group.nme:.2f}" + ("" if group.interval is None else " ({:.2f}–{:.2f})".format(*group.interval))
