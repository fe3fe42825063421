"""The difference of two runs: by hand, and its interval against the normal approximation."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.metrics.difference import paired_difference


def test_by_hand():
    found = paired_difference(np.array([0.10, 0.08, 0.06, np.nan]), np.array([0.06, 0.08, 0.07, 0.01]))
    assert found.faces == 3
    assert (found.baseline, found.other) == pytest.approx((8.0, 7.0))
    assert found.gain == pytest.approx(1.0)
    assert found.relative == pytest.approx(12.5)
    assert found.improved == pytest.approx(50.0)  # one of three, and half of a tie


def test_the_interval_is_the_normal_one_where_there_are_many_faces():
    rng = np.random.default_rng(0)
    baseline = rng.gamma(4, 0.02, 4000)
    other = baseline - rng.normal(0.003, 0.02, 4000)
    found = paired_difference(baseline, other)
    falls = 100 * (baseline - other)
    half = 1.96 * falls.std(ddof=1) / np.sqrt(len(falls))
    assert found.interval == pytest.approx((falls.mean() - half, falls.mean() + half), abs=0.1 * half)
    assert found.shown
    assert found == paired_difference(baseline, other)


def test_noise_alone_is_not_shown():
    rng = np.random.default_rng(1)
    baseline = rng.gamma(4, 0.02, 500)
    assert not paired_difference(baseline, baseline + rng.normal(0, 0.02, 500)).shown


def test_harm_is_a_negative_gain():
    found = paired_difference(np.full(5, 0.05), np.array([0.06, 0.07, 0.06, 0.07, 0.06]))
    assert found.gain == pytest.approx(-1.4)
    assert found.shown
    assert found.interval[1] < 0


def test_what_cannot_be_compared():
    assert paired_difference(np.array([np.nan]), np.array([0.1])) is None
    assert paired_difference(np.array([0.1, 0.2]), np.array([0.1, np.inf])) is None
    assert paired_difference(np.array([]), np.array([])) is None
    assert paired_difference(np.array([0.2]), np.array([0.1])).interval is None
    with pytest.raises(ValueError, match="2 faces against 1"):
        paired_difference(np.zeros(2), np.zeros(1))
