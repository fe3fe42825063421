"""Levels, and the whole as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.studies.scaling.analysis import analyse, as_json
from pipeline.studies.scaling.cells import Group


def test_levels_are_means_and_sample_deviations_over_seeds(study):
    made = study(lambda c: 8.0)
    level = analyse(made).level(Group(157, "LaplaceKL + D", None), 5000)
    runs = made.of_group(level.group)[5000]
    errors = [100 * r.nme_N.mean() for r in runs.values()]
    assert level.errors == pytest.approx(errors)
    assert level.mean == pytest.approx(np.mean(errors))
    assert level.deviation == pytest.approx(np.std(errors, ddof=1))
    assert level.extra["FR10 %"][0] == pytest.approx(3 * np.mean(errors))


@pytest.mark.parametrize("seeds", [1, 3])
def test_it_is_json_without_what_json_has_not(study, seeds):
    made = study(
        lambda c: 8.0 - bool(c.unlabelled), seeds=seeds, provenance={"commit": "abc", "x": float("nan")}
    )
    document = json.loads(json.dumps(as_json(analyse(made)), allow_nan=False))
    assert document["study"]["provenance"] == {"commit": "abc", "x": None}
    assert len(document["study"]["cells"]) == len(made.results)
    assert document["comparisons"][0]["group"] == {"labelled": 157, "method": "LaplaceKL + D", "width": None}
    assert document["answer"]["headline"]
