"""What may be compared: same faces, same steps, one run per cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.studies.scaling.cells import Cell, Group, Study

A = Cell(100, 0, "a", 8, 0)
B = Cell(100, 500, "a", 8, 0)


def build(*results):
    return Study(results, "p", "m")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cell": A}, "two runs for one cell"),
        ({"steps": 999}, "999 steps.*2,260"),
        ({"keys": tuple(f"other-{i}" for i in range(60))}, "not measured on the faces"),
        ({"keys": tuple(f"face-{i:03d}" for i in reversed(range(60)))}, "another order"),
        ({"nme_N": np.ones(3)}, "shape"),
        ({"nme_N": np.full(60, np.nan)}, "no face has a defined NME"),
    ],
)
def test_what_does_not_compare_is_refused_naming_the_run(result, change, words):
    other = replace(result(B, 5.0, run="run-b"), **change)
    with pytest.raises(DataError, match=words):
        build(result(A, 6.0), other)


def test_steps_may_differ_between_label_budgets(result):
    more = replace(A, labelled=200)
    build(result(A, 6.0), result(more, 5.0, steps=4000))


def test_no_result():
    with pytest.raises(DataError, match="no finished run"):
        build()


def test_a_face_undefined_in_one_cell_is_left_out_of_all(result):
    first, second = result(A, 6.0), result(B, 5.0)
    second.nme_N[3] = np.nan
    study = build(first, second)
    assert (study.faces, study.excluded) == (59, 1)
    assert study.error(first) == pytest.approx(100 * np.delete(first.nme_N, 3).mean())


def test_a_diverged_run_is_kept_aside_not_averaged(result):
    bad = result(replace(B, seed=1), 5.0)
    bad.nme_N[0] = np.inf
    study = build(result(A, 6.0), result(B, 5.0), bad)
    assert study.diverged == (bad,)
    assert list(study.of_group(Group(100, "a", 8))[500]) == [0]


def test_groups_follow_the_methods_then_widths_then_labels(result):
    cells = [Cell(n, 0, m, w, 0) for m in ("z", "a") for w in (16, 8) for n in (200, 100)]
    groups = build(*(result(c, 5.0) for c in cells)).groups
    assert groups == tuple(Group(n, m, w) for m in ("z", "a") for w in (8, 16) for n in (100, 200))


def test_a_study_of_diverged_runs_only(result):
    with pytest.raises(DataError, match="every run of the study diverged"):
        build(result(A, 6.0, nme_N=np.full(60, np.inf)))
