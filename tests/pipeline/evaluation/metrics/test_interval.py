"""The bootstrap interval of a mean against what theory says of it."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.metrics.interval import mean_interval


def test_of_many_normal_values_it_is_the_textbooks():
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    low, high = mean_interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)
    assert mean_interval(values) == (low, high)


def test_one_face_says_nothing_and_equal_ones_leave_no_doubt():
    assert mean_interval(np.array([3.0])) is None
    assert mean_interval(np.array([])) is None
    assert mean_interval(np.full(4, 3.0)) == (3.0, 3.0)
