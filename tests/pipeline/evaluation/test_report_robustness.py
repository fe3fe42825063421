"""Harder images stand beside the images as they are, run by run."""

from __future__ import annotations

import pytest

from pipeline.evaluation.protocol import evaluate
from pipeline.evaluation.report_input import RunReport
from pipeline.evaluation.report_robustness import COLUMNS, perturbed_name, robustness


def test_rows_by_perturbation_and_what_it_costs(tiny, predict, protocol):
    def run(name, noise, perturbation=None, **change):
        under = protocol.model_copy(update={"perturbation": perturbation, **change})
        predictions = predict(tiny, noise=noise)
        name = perturbed_name(name, perturbation)
        return RunReport(name, evaluate(predictions, tiny, under, run=name), predictions, tiny)

    plain = [run("a", 2.0), run("b", 3.0)]
    assert robustness(plain) == []
    large = [run("a", 6.0, "blur-large"), run("b", 5.0, "blur-large")]
    stranger = run("a", 4.0, "occlusion-medium", flip_test=True)  # nothing to compare it with
    told = robustness([*plain, *large, stranger])
    assert [part["what"] for part in told] == ["as they are", "blur large", "occlusion medium"]
    assert [row["name"] for row in told[1]["rows"]] == ["a-blur-large", "b-blur-large"]
    cells = dict(zip(COLUMNS, told[1]["rows"][0]["cells"], strict=True))
    errors = large[0].evaluation.headline
    assert cells["NME"] == f"{errors.nme:.2f}"
    assert float(cells["more than as they are"]) == pytest.approx(
        errors.nme - plain[0].evaluation.headline.nme, abs=0.006
    )
    assert cells["FR₁₅, landmarks"] == f"{errors.landmark_failure_rate['15']:.2f}"
    assert told[0]["rows"][0]["cells"][1] == told[2]["rows"][0]["cells"][1] == "–"
