"""The report's section on sorting out the unsure."""

from __future__ import annotations

import dataclasses

from pipeline.evaluation.protocol import evaluate, face_nme
from pipeline.evaluation.report_input import RunReport
from pipeline.evaluation.report_selection import selection_section

PLACES = {"a": 0, "b": 1}


def test_runs_with_an_uncertainty_are_compared_and_said_by_which(tiny, predict, protocol):
    def run(name, noise, **options):
        predictions = predict(tiny, noise=noise, faces=20, **options)
        return RunReport(name, evaluate(predictions, tiny, protocol, run=name), predictions, tiny)

    def section(*runs):
        return selection_section(
            runs, {r.name: face_nme(r.predictions, tiny, "ocular") for r in runs}, PLACES
        )

    stating, bad = run("a", 2.0, covariance=1.0), run("b", 14.0)
    both = section(stating, bad)
    assert [row["name"] for row in both["table"]["rows"]] == ["a", "b"]
    assert both["by_scatter"] == "b"
    assert [chart["title"] for chart in both["charts"]] == ["Error of the surest", "Failures found"]
    # Where no face is above 10 % there is no failure to find.
    assert [chart["title"] for chart in section(run("a", 0.5, covariance=1.0))["charts"]] == [
        "Error of the surest"
    ]
    silent = dataclasses.replace(bad.predictions, scatter_NK=None)
    silent = RunReport("b", evaluate(silent, tiny, protocol, run="b"), silent, tiny)
    assert section(silent) is None
