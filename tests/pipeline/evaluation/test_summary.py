"""Percentages, None for undefined, and the counts, on a set worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.evaluation.summary import ErrorSummary, summarise_errors, summarise_landmarks, summarise_scatter

# Face sizes 100; errors 4 and 9 px on every landmark; a third face without a size.
ERRORS = np.array([[4.0, 4.0], [9.0, 9.0], [1.0, 1.0]])
SIZES = np.array([100.0, 100.0, np.nan])


def test_errors_are_per_cent_over_defined_faces():
    summary = summarise_errors(ERRORS, SIZES)
    assert summary.nme == pytest.approx(6.5)
    assert summary.nme_median == pytest.approx(6.5)
    assert summary.nme_std == pytest.approx(2.5)
    expected = {"5": 50.0, "7": 50.0, "8": 50.0, "10": 0.0, "15": 0.0, "20": 0.0}
    assert summary.failure_rate == pytest.approx(expected)
    # 4 % leaves 1 − 4/θ of the area, 9 % leaves 1 − 9/θ where θ > 9; half each.
    expected = {"5": 10.0, "7": 50 * 3 / 7, "8": 25.0, "10": 35.0, "15": 850 / 15, "20": 67.5}
    assert summary.auc == pytest.approx(expected)
    assert summary.landmark_failure_rate["8"] == pytest.approx(50.0)
    assert (summary.faces, summary.undefined) == (2, 1)


def test_thresholds_of_ones_own_stand_beside_the_usual_ones():
    summary = summarise_errors(ERRORS, SIZES, (4.5, 10))
    assert list(summary.failure_rate) == ["4.5", "5", "7", "8", "10", "15", "20"]
    assert summary.failure_rate["4.5"] == pytest.approx(50.0)
    assert set(summary.auc) == set(summary.landmark_failure_rate) == set(summary.failure_rate)


def test_nothing_defined_is_none_not_zero():
    summary = summarise_errors(ERRORS, np.full(3, np.nan))
    assert summary.nme is summary.nme_median is summary.nme_std is None
    assert set(summary.failure_rate.values()) == set(summary.auc.values()) == {None}
    assert (summary.faces, summary.undefined) == (0, 3)


def test_nan_never_enters_a_record():
    values = summarise_errors(ERRORS, SIZES).model_dump()
    with pytest.raises(ValidationError):
        ErrorSummary(**{**values, "nme": float("nan")})


def test_scatter_in_both_grids():
    scatter = np.array([[1.0, 3.0], [2.0, 50.0]])
    mask = np.array([[True, True], [True, False]])
    summary = summarise_scatter(scatter, mask, np.array([0.5, 0.25]))
    assert summary.grid_px == pytest.approx(2.0)
    assert summary.original_px == pytest.approx((2 + 6 + 8) / 3)
    assert summary.per_landmark_grid_px == pytest.approx([1.5, 3.0])


def test_landmarks_and_curves(tiny):
    errors = np.array([[1.0, 3.0, 5.0, 7.0, np.nan, 2.0], [3.0, 3.0, 5.0, 7.0, np.nan, 4.0]])
    summary = summarise_landmarks(errors, np.array([100.0, 50.0]), tiny)
    assert summary.px == [2.0, 3.0, 5.0, 7.0, None, 3.0]
    assert summary.percent[0] == pytest.approx((1 + 6) / 2)
    assert summary.count == [2, 2, 2, 2, 0, 2]
    assert summary.curves["left_eye"].px == pytest.approx(2.5)
    assert summary.curves["left_eye"].percent == pytest.approx((1 + 3 + 6 + 6) / 4)
    assert summary.curves["left_eye"].landmarks == [0, 1]
    assert summary.curves["other"].percent is None
