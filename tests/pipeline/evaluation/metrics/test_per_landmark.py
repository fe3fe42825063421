"""Errors per landmark and per curve by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.metrics.per_landmark import (
    count_per_landmark,
    curve_groups,
    mean_per_curve,
    mean_per_landmark,
)
from pipeline.markup import load_markup

NAN = np.nan
ERRORS = np.array([[1.0, 3.0, 5.0, NAN, 8.0, NAN], [3.0, NAN, 7.0, NAN, 2.0, NAN]])


def test_per_landmark():
    np.testing.assert_allclose(mean_per_landmark(ERRORS), [2.0, 3.0, 6.0, NAN, 5.0, NAN])
    assert count_per_landmark(ERRORS).tolist() == [2, 1, 2, 0, 2, 0]


def test_per_curve_weighs_pairs_and_keeps_landmarks_on_no_curve(tiny):
    means = mean_per_curve(ERRORS, tiny)
    assert list(means) == ["left_eye", "right_eye", "chin", "other"]
    assert means["left_eye"] == pytest.approx((1 + 3 + 3) / 3)  # pairs, not the mean of 2.0 and 3.0
    assert means["right_eye"] == pytest.approx(6.0)
    assert np.isnan(means["chin"])
    assert means["other"] == pytest.approx(5.0)


def test_ibug_curves_cover_every_landmark_once():
    groups = curve_groups(load_markup("ibug68"))
    assert "other" not in groups
    assert sorted(i for indices in groups.values() for i in indices) == list(range(68))


def test_wrong_number_of_landmarks(tiny):
    with pytest.raises(ValueError, match="'tiny' has 6"):
        mean_per_curve(ERRORS[:, :5], tiny)
