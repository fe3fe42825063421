"""The terminal's table of groups."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
from rich.console import Console

from pipeline.evaluation.console_groups import group_tables
from pipeline.evaluation.facts import FaceFacts
from pipeline.evaluation.protocol import evaluate


def test_groups_of_faces_stand_by_what_tells_them_apart(tiny, predict, protocol):
    facts = [
        FaceFacts(source="x", image="", cut=False, attributes={"blur": i % 2, "[red]": "a" if i < 3 else "b"})
        for i in range(12)
    ]
    kept = dataclasses.replace(predict(tiny), facts_N=np.array([face.model_dump_json() for face in facts]))
    runs = [evaluate(kept, tiny, protocol, run=name) for name in ("one", "two")]
    plain = evaluate(predict(tiny), tiny, protocol, run="older")
    console = Console(file=io.StringIO(), width=200)
    console.print(*group_tables([*runs, plain]))
    text = console.file.getvalue()
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")
    ]
    assert [row[:3] for row in rows] == [
        ["[red]", "a", "3"],
        ["", "b", "9"],
        ["blur", "no", "6"],
        ["", "yes", "6"],
    ]
    group = runs[0].groups[1]
    assert rows[1][3] == rows[1][4] == f"{group.nme:.2f} ({group.interval[0]:.2f}–{group.interval[1]:.2f})"
    assert group_tables([plain]) == []
