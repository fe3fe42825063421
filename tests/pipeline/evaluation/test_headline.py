"""Which numbers are printed, and which in bold."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.evaluation.headline import ALL_COLUMNS, COLUMNS, RUN_COLUMNS, UNCERTAINTY_COLUMNS, best, values
from pipeline.evaluation.protocol import evaluate

LOWER = next(c for c in COLUMNS if c.key == "ocular")
HIGHER = next(c for c in COLUMNS if c.key == "auc10")


def rows(column, *numbers):
    return [{column.key: number} for number in numbers]


@pytest.mark.parametrize(
    ("column", "numbers", "winners"),
    [
        (LOWER, (3.0, 2.0, 4.0), {1}),
        (HIGHER, (3.0, 2.0, 4.0), {2}),
        (LOWER, (2.001, 2.004, 4.0), {0, 1}),  # both print 2.00
        (LOWER, (2.0, 2.001), set()),  # nothing stands out
        (LOWER, (2.0,), set()),
        (LOWER, (2.0, None), set()),
        (LOWER, (None, 5.0, 4.0), {2}),
        (RUN_COLUMNS[0], (2.0, 1.0), set()),  # fewer parameters are not better
    ],
)
def test_best(column, numbers, winners):
    assert best(rows(column, *numbers), column) == winners


def test_every_column_reads_its_own_number(predictions, tiny, protocol):
    evaluation = evaluate(predictions, tiny, protocol, run="base")
    found = values(evaluation)
    assert list(found) == [c.key for c in ALL_COLUMNS if c not in RUN_COLUMNS]
    assert found["pupil"] == evaluation.errors["pupil"].nme
    assert found["fr8"] == evaluation.errors["ocular"].failure_rate["8"]
    assert found["auc7"] == evaluation.errors["ocular"].auc["7"]
    assert evaluation.scatter is not None
    assert found["scatter"] == evaluation.scatter.grid_px
    plain = evaluate(dataclasses.replace(predictions, scatter_NK=None), tiny, protocol, run="base")
    assert values(plain)["scatter"] is None


def test_direction_and_uncertainty_columns(tiny, predict, protocol):
    evaluation = evaluate(predict(tiny, covariance=1.0), tiny, protocol, run="base")
    found, u = values(evaluation), evaluation.uncertainty
    assert u is not None
    assert (found["normal"], found["bias"]) == (
        evaluation.direction.normal_nme,
        evaluation.direction.bias_rate,
    )
    assert (found["r"], found["rho"]) == (u.by_landmark.pearson, u.by_landmark.spearman)
    assert (found["r_face"], found["rho_face"]) == (u.by_face.pearson, u.by_face.spearman)
    assert (found["spread"], found["nll"]) == (u.spread, u.nll)
    assert (found["cover50"], found["cover90"]) == (u.coverage["50"], u.coverage["90"])
    assert len({c.key for c in ALL_COLUMNS}) == len(ALL_COLUMNS)
    plain = evaluate(predict(tiny), tiny, protocol, run="base")
    assert all(values(plain)[c.key] is None for c in UNCERTAINTY_COLUMNS)


def test_text():
    assert LOWER.text(3.456) == "3.46"
    assert LOWER.text(None) == "–"
    assert RUN_COLUMNS[0].text(39800) == "39,800"
