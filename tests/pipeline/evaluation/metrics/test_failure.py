"""Failure rate and AUC against hand-made cases, numerical integration, Monte-Carlo, and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import trapezoid

from pipeline.evaluation.metrics.failure import (
    THRESHOLDS_PERCENT,
    auc,
    ced_curve,
    failure_rate,
    landmark_ced_curve,
    landmark_failure_rate,
)

errors = arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 0.3))


def test_failure_is_strict():
    nme = np.array([0.05, 0.08, 0.08 + 1e-12, 0.2])
    assert failure_rate(nme, 0.08) == 0.5
    assert failure_rate(nme, 0.05) == 0.75
    assert failure_rate(nme, 0.2) == 0.0


def test_undefined_faces_are_in_neither_part():
    nme = np.array([0.01, 0.2, np.nan, np.nan])
    assert failure_rate(nme, 0.1) == 0.5
    assert auc(nme, 0.1) == pytest.approx(0.45)
    assert math.isnan(failure_rate(np.array([np.nan]), 0.1))
    assert math.isnan(auc(np.array([np.nan]), 0.1))


def test_an_infinite_error_is_a_failure():
    assert failure_rate(np.array([np.inf, 0.0]), 0.1) == 0.5
    assert auc(np.array([np.inf, 0.0]), 0.1) == 0.5


def test_auc_by_hand():
    # CED on [0, 0.10]: 0 up to 0.02, 1/2 up to 0.06, 1 up to 0.10: (0.5·0.04 + 1·0.04) / 0.10 = 0.6.
    assert auc(np.array([0.02, 0.06]), 0.10) == pytest.approx(0.6)
    assert auc(np.zeros(3), 0.07) == 1.0
    assert auc(np.array([0.07, 0.5]), 0.07) == 0.0


@pytest.mark.parametrize("percent", THRESHOLDS_PERCENT)
def test_auc_agrees_with_integration_of_the_curve(percent):
    theta = percent / 100
    nme = np.random.default_rng(0).lognormal(np.log(0.05), 0.5, 300)
    x, y = ced_curve(nme, theta)
    rectangles = (np.diff(x) * y[:-1]).sum() / theta
    assert auc(nme, theta) == pytest.approx(rectangles, rel=1e-12)
    grid = np.linspace(0, theta, 200_001)
    sampled = trapezoid((nme[None, :] <= grid[::100, None]).mean(axis=1), grid[::100]) / theta
    assert auc(nme, theta) == pytest.approx(sampled, abs=2e-3)


def test_auc_agrees_with_monte_carlo():
    # CED(e) averaged over e uniform on [0, θ] is the chance that a random face is better than a random level.
    rng = np.random.default_rng(1)
    nme = rng.gamma(4.0, 0.012, 500)
    draws = 400_000
    level = rng.uniform(0, 0.08, draws)
    hits = (rng.choice(nme, draws) <= level).mean()
    assert auc(nme, 0.08) == pytest.approx(hits, abs=4 * 0.5 / math.sqrt(draws))


def test_landmark_failure_sees_what_a_mean_hides():
    nme_NK = np.array([[0.0, 0.0, 0.0, 0.24], [0.0, 0.0, 0.0, np.nan]])
    assert failure_rate(nme_NK[:1].mean(axis=1), 0.1) == 0.0
    # Landmark 3 counts on one face and fails there: (0 + 0 + 0 + 1) / 4, not 1/7 of all pairs.
    assert landmark_failure_rate(nme_NK, 0.1) == 0.25
    assert math.isnan(landmark_failure_rate(np.full((2, 3), np.nan), 0.1))
    with_unseen = np.array([[0.2, np.nan]])
    assert landmark_failure_rate(with_unseen, 0.1) == 1.0


def test_curve_is_a_step_function_with_its_jumps():
    x, y = ced_curve(np.array([0.06, 0.02, 0.02, 0.5]), 0.1)
    assert x.tolist() == [0.0, 0.02, 0.06, 0.1]
    assert y.tolist() == [0.0, 0.5, 0.75, 0.75]


def test_bad_thresholds_are_refused():
    for function in (failure_rate, auc, ced_curve, landmark_failure_rate):
        with pytest.raises(ValueError, match="not positive"):
            function(np.ones((2, 2)) * 0.1, 0.0)
    with pytest.raises(ValueError, match="no face"):
        ced_curve(np.array([np.nan]), 0.1)


@settings(max_examples=100, deadline=None)
@given(nme=errors, theta=st.floats(1e-3, 0.5), seed=st.integers(0, 2**31))
def test_bounds_order_and_complement(nme, theta, seed):
    area = auc(nme, theta)
    assert 0.0 <= area <= 1.0
    shuffled = np.random.default_rng(seed).permutation(nme)
    assert auc(shuffled, theta) == pytest.approx(area, rel=1e-12)
    assert failure_rate(shuffled, theta) == failure_rate(nme, theta)
    x, y = ced_curve(nme, theta)
    assert y[-1] == pytest.approx(1 - failure_rate(nme, theta))
    assert (np.diff(y) >= 0).all()
    assert (np.diff(x) > 0).all()


@settings(max_examples=100, deadline=None)
@given(nme=errors, low=st.floats(1e-3, 0.3), gap=st.floats(0, 0.3), worse=st.floats(0, 0.1))
def test_monotone(nme, low, gap, worse):
    assert failure_rate(nme, low + gap) <= failure_rate(nme, low)
    assert auc(nme, low + gap) >= auc(nme, low) - 1e-12
    assert failure_rate(nme + worse, low) >= failure_rate(nme, low)
    assert auc(nme + worse, low) <= auc(nme, low) + 1e-12


def test_the_landmark_wise_curve_is_one_less_the_landmark_failure_rate():
    nme = np.random.default_rng(0).gamma(2.0, 0.03, (30, 5))
    nme[:20, 1] = np.nan  # seen on few faces, it weighs like the others
    nme[:, 3] = np.nan
    x, y = landmark_ced_curve(nme, 0.2)
    assert (x[0], x[-1]) == (0.0, 0.2)
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) >= 0).all()
    for threshold in (0.01, 0.05, 0.1, 0.2):
        share = y[np.searchsorted(x, threshold, side="right") - 1]
        assert share == pytest.approx(1 - landmark_failure_rate(nme, threshold))
    with pytest.raises(ValueError, match="no landmark has"):
        landmark_ced_curve(np.full((2, 2), np.nan), 0.2)
