"""Spread, correlation and calibration, by hand, against scipy and on simulated Gaussians."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pipeline.evaluation.metrics.uncertainty import (
    calibration_curve,
    chi_square_quantile,
    coverage,
    distance_quantile,
    gaussian_nll,
    mahalanobis_squared,
    mean_per_face,
    pearson,
    singular,
    spearman,
    spread,
)
from pipeline.heatmaps.uncertainty import spread as torch_spread

SEEN = np.ones((1, 1), dtype=bool)


def random_covariances(rng, n, k):
    factor = rng.normal(size=(n, k, 2, 2))
    return factor @ factor.swapaxes(-1, -2) + 0.05 * np.eye(2)


def one(covariance):
    return np.array(covariance, dtype=np.float32)[None, None]


def test_spread_by_hand_and_against_the_training_code():
    # Half axes 8 and 2: geometric mean 4, whatever the direction.
    assert spread(one([[64, 0], [0, 4]]), SEEN) == pytest.approx(4.0)
    c, s = math.cos(0.7), math.sin(0.7)
    turn = np.array([[c, -s], [s, c]])
    assert spread(one(turn @ np.diag([64.0, 4.0]) @ turn.T), SEEN) == pytest.approx(4.0, rel=1e-5)
    covariances = random_covariances(np.random.default_rng(0), 5, 7)
    theirs = torch_spread(torch.from_numpy(covariances)).numpy()
    assert spread(covariances, np.ones((5, 7), dtype=bool)) == pytest.approx(theirs)


def test_masked_landmarks_are_never_read():
    covariances = np.stack([np.eye(2), np.full((2, 2), np.nan)])[None]
    errors = np.array([[[1.0, 2.0], [np.nan, np.nan]]])
    mask = np.array([[True, False]])
    assert np.isnan(spread(covariances, mask)).tolist() == [[False, True]]
    squared = mahalanobis_squared(errors, covariances, mask)
    assert squared[0, 0] == pytest.approx(5.0)
    assert np.isnan(squared[0, 1])
    assert coverage(squared, 0.99) == 1.0
    assert gaussian_nll(errors, covariances, mask) == pytest.approx(2.5 + math.log(2 * math.pi))
    assert mean_per_face(spread(covariances, mask)) == pytest.approx([1.0])
    nothing = np.zeros((1, 2), dtype=bool)
    empty = mahalanobis_squared(errors, covariances, nothing)
    assert all(math.isnan(v) for v in (coverage(empty, 0.5), distance_quantile(empty, 0.5)))
    assert math.isnan(gaussian_nll(errors, covariances, nothing))
    assert np.isnan(mean_per_face(empty)).all()
    with pytest.raises(ValueError, match="no calibration"):
        calibration_curve(empty)


def test_mahalanobis_against_an_inverse():
    rng = np.random.default_rng(1)
    covariances, errors = random_covariances(rng, 20, 5), rng.normal(size=(20, 5, 2))
    expected = np.einsum("nki,nkij,nkj->nk", errors, np.linalg.inv(covariances), errors)
    assert mahalanobis_squared(errors, covariances, np.ones((20, 5), dtype=bool)) == pytest.approx(expected)


def test_likelihood_against_scipy():
    rng = np.random.default_rng(2)
    covariances, errors = random_covariances(rng, 10, 3), rng.normal(size=(10, 3, 2))
    mask = rng.random((10, 3)) < 0.7
    expected = [
        -stats.multivariate_normal(np.zeros(2), covariances[i]).logpdf(errors[i])
        for i in map(tuple, np.argwhere(mask))
    ]
    assert gaussian_nll(errors, covariances, mask) == pytest.approx(np.mean(expected))


def test_a_certain_network_covers_only_what_it_meets():
    covariances = np.stack([np.zeros((2, 2)), np.zeros((2, 2)), np.diag([4.0, 0.0]), np.eye(2)])[None]
    errors = np.array([[[0.0, 0.0], [1e-9, 0.0], [1.0, 1.0], [1.0, 0.0]]])
    mask = np.ones((1, 4), dtype=bool)
    assert singular(covariances).tolist() == [[True, True, True, False]]
    squared = mahalanobis_squared(errors, covariances, mask)
    assert squared.tolist() == [[0.0, math.inf, math.inf, 1.0]]
    assert coverage(squared, 0.5) == 0.5
    assert distance_quantile(squared, 0.9) == math.inf
    levels, shares = calibration_curve(squared)
    assert (levels[0], levels[-1], shares[0], shares[-2], shares[-1]) == (0.0, 1.0, 0.25, 0.5, 1.0)
    # Only the last has a density.
    assert gaussian_nll(errors, covariances, mask) == pytest.approx(0.5 + math.log(2 * math.pi))


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.999])
def test_quantiles_of_chi_square(level):
    assert chi_square_quantile(level) == pytest.approx(stats.chi2(2).ppf(level))


@pytest.mark.parametrize("level", [0.0, 1.0, 50.0, -0.1, float("nan")])
def test_levels_are_shares(level):
    with pytest.raises(ValueError, match="between 0 and 1"):
        coverage(np.ones((2, 2)), level)


def test_simulated_gaussians_are_calibrated_and_halved_ones_are_not():
    rng = np.random.default_rng(3)
    covariances = random_covariances(rng, 400, 50)
    errors = np.einsum("nkij,nkj->nki", np.linalg.cholesky(covariances), rng.normal(size=(400, 50, 2)))
    mask = np.ones((400, 50), dtype=bool)
    true = mahalanobis_squared(errors, covariances, mask)
    for level in (0.5, 0.9):
        deviation = math.sqrt(level * (1 - level) / true.size)
        assert coverage(true, level) == pytest.approx(level, abs=4 * deviation)
        assert distance_quantile(true, level) == pytest.approx(chi_square_quantile(level), rel=0.03)
    levels, shares = calibration_curve(true)
    assert np.abs(levels - shares).max() < 0.015
    # σ half as long: distances four times as far, coverage 1 − (1 − p)^¼.
    sure = mahalanobis_squared(errors, covariances / 4, mask)
    assert coverage(sure, 0.9) == pytest.approx(1 - 0.1**0.25, abs=0.015)
    assert gaussian_nll(errors, covariances / 4, mask) > gaussian_nll(errors, covariances, mask) + 1
    assert gaussian_nll(errors, covariances * 4, mask) > gaussian_nll(errors, covariances, mask) + 0.5


@pytest.mark.parametrize("seed", range(3))
def test_correlations_against_scipy(seed):
    rng = np.random.default_rng(seed)
    x = rng.gamma(2, 1, (30, 7))
    y = x + rng.gamma(2, 1, (30, 7))
    x[rng.random(x.shape) < 0.3] = 1.0  # ties
    hidden = rng.random(x.shape) < 0.2
    expected = [f(x[~hidden], y[~hidden]).statistic for f in (stats.pearsonr, stats.spearmanr)]
    y[hidden] = np.nan
    assert [pearson(x, y), spearman(x, y)] == pytest.approx(expected, abs=1e-12)
    assert [pearson(y, x), spearman(y, x)] == pytest.approx(expected, abs=1e-12)


def test_correlation_is_undefined_without_variation():
    x = np.arange(5.0)
    for correlation in (pearson, spearman):
        assert math.isnan(correlation(x, np.full(5, 0.1)))
        assert math.isnan(correlation(x, np.zeros(5)))
        assert math.isnan(correlation(x, np.full(5, np.nan)))
        assert math.isnan(correlation(x[:1], x[:1]))
        assert correlation(x, -x) == pytest.approx(-1.0)
        assert correlation(x, 3 + 2 * x) == pytest.approx(1.0)
