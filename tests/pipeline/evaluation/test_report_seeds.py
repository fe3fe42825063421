"""Runs of one recipe are told together: mean and standard deviation over their seeds."""

from __future__ import annotations

import pytest

from pipeline.evaluation import headline
from pipeline.evaluation.protocol import evaluate
from pipeline.evaluation.report_input import RunReport
from pipeline.evaluation.report_seeds import common_name, over_seeds


@pytest.fixture
def run(tiny, predict, protocol):
    def build(name, seed, recipe, noise=2.0):
        predictions = predict(tiny, seed=seed + 1, noise=noise)
        provenance = {"seed": seed, "recipe": recipe}
        return RunReport(
            name, evaluate(predictions, tiny, protocol, run=name, provenance=provenance), predictions, tiny
        )

    return build


def test_mean_and_deviation_by_hand(run):
    runs = [
        run("a-s0", 0, "x"),
        run("a-s1", 1, "x"),
        run("a-s10", 10, "x"),
        run("b-s0", 0, "y"),
        run("old", 5, None),
    ]
    told = over_seeds(runs, headline.COLUMNS)
    (row,) = told["rows"]
    assert (row["name"], row["seeds"]) == ("a", "0, 1, 10")
    nme = [r.evaluation.headline.nme for r in runs[:3]]
    mean = sum(nme) / 3
    deviation = (sum((value - mean) ** 2 for value in nme) / 2) ** 0.5
    assert told["columns"][0].key == "ocular"
    assert row["cells"][0] == f"{mean:.2f} ± {deviation:.2f}"


def test_one_seed_is_no_several(run):
    assert over_seeds([run("a", 0, "x"), run("b", 0, "x"), run("c", 1, "y")], headline.COLUMNS) is None


def test_names():
    assert common_name(["laplace-s0", "laplace-s12"]) == "laplace"
    assert common_name(["c8_seed1", "c8_seed2"]) == "c8"
    assert common_name(["one", "two"]) == "one / two"
    assert common_name(["-s1", "-s2"]) == "-s1 / -s2"
