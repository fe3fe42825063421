"""Scatter: masks, grids and means by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.evaluation.metrics.scatter import in_original, mean_scatter, scatter_per_landmark

SCATTER = np.array([[1.0, 2.0, 99.0], [3.0, np.nan, 5.0]])
MASK = np.array([[True, True, False], [True, False, True]])


def test_mean_over_counted_landmarks():
    assert mean_scatter(SCATTER, MASK) == pytest.approx((1 + 2 + 3 + 5) / 4)
    assert scatter_per_landmark(SCATTER, MASK) == pytest.approx([2.0, 2.0, 5.0])


def test_original_pixels_divide_by_the_crops_scale():
    # A face stored at a quarter of its size: one network px is four original px.
    assert in_original(SCATTER, np.array([0.25, 2.0]))[0] == pytest.approx([4.0, 8.0, 396.0])
    assert mean_scatter(in_original(SCATTER, np.array([0.25, 2.0])), MASK) == pytest.approx(
        (4 + 8 + 1.5 + 2.5) / 4
    )


def test_nothing_counted_is_nan():
    nothing = np.zeros((2, 3), dtype=bool)
    assert math.isnan(mean_scatter(SCATTER, nothing))
    assert np.isnan(scatter_per_landmark(SCATTER, nothing)).all()


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_impossible_scales_are_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        in_original(SCATTER, np.array([1.0, scale]))
