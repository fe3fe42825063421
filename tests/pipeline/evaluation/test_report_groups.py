"""The report's section on groups of faces."""

from __future__ import annotations

import dataclasses

import numpy as np

from pipeline.evaluation.facts import FaceFacts
from pipeline.evaluation.protocol import evaluate
from pipeline.evaluation.report_groups import groups_section
from pipeline.evaluation.report_input import RunReport


def test_rows_stand_by_kind_with_faces_error_interval_and_failures(tiny, predict, protocol):
    def run(name, attributes):
        rows = [
            FaceFacts(source="x", image="", cut=False, attributes=a).model_dump_json() for a in attributes
        ]
        predictions = dataclasses.replace(predict(tiny), facts_N=np.array(rows))
        return RunReport(name, evaluate(predictions, tiny, protocol, run=name), predictions, tiny)

    both = run("both", [{"blur": i % 2, "light": "day" if i < 2 else "night"} for i in range(12)])
    blur = run("blur", [{"blur": i % 2} for i in range(12)])
    section = groups_section([both, blur], {"both": 0, "blur": 1})
    assert [(part["by"], [row["name"] for row in part["rows"]]) for part in section["sections"]] == [
        ("blur", ["no", "yes"]), ("light", ["day", "night"])
    ]  # fmt: skip
    first = both.evaluation.groups[0]
    row = section["sections"][0]["rows"][0]
    assert row["faces"] == "6"
    assert row["cells"][0] == (
        f"{first.nme:.2f}",
        f"{first.interval[0]:.2f} to {first.interval[1]:.2f} · FR₁₀ {first.failure_rate['10']:.1f}",
    )
    assert section["sections"][1]["rows"][0]["cells"][1] == ("–", "")  # it was not told
    assert section["light"].startswith("data:image/svg")

    plain = predict(tiny)
    older = RunReport("older", evaluate(plain, tiny, protocol, run="older"), plain, tiny)
    assert groups_section([older], {"older": 0}) is None
