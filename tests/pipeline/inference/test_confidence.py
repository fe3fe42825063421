"""Probabilities against closed forms and a double integral; temperatures found again on errors that were drawn with them."""

import math

import numpy as np
import pytest
from scipy.integrate import dblquad

from pipeline.inference.confidence import (
    TEMPERATURES,
    calibration_gap,
    disc_probability,
    fit_temperature,
    log_loss,
    variances,
)


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0, 20.0])
def test_a_round_gaussian_has_rayleighs_distribution(sigma):
    got = disc_probability(np.array([sigma**2, sigma**2]), 0.7)
    assert got == pytest.approx(-math.expm1(-(0.7**2) / (2 * sigma**2)), abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(0.2, 1.0), (1.0, 3.0), (0.1, 3.0)])
def test_an_ellipse_against_the_double_integral(first, second):
    def density(y: float, x: float) -> float:
        return math.exp(-((x / first) ** 2 + (y / second) ** 2) / 2) / (2 * math.pi * first * second)

    edge = lambda x: math.sqrt(max(1.0 - x * x, 0.0))  # noqa: E731
    expected, _ = dblquad(density, -1.0, 1.0, lambda x: -edge(x), edge)
    assert disc_probability(np.array([first**2, second**2]), 1.0) == pytest.approx(expected, abs=1e-6)
    # A temperature stretches both axes.
    assert disc_probability(np.array([first, second]) ** 2 / 4, 1.0, 2.0) == pytest.approx(expected, abs=1e-6)


def test_segments_and_points():
    assert disc_probability(np.array([0.0, 0.0]), 1.0) == 1.0
    for sigma in (0.5, 2.0):
        got = disc_probability(np.array([0.0, sigma**2]), 1.0)
        assert got == pytest.approx(math.erf(1.0 / (sigma * math.sqrt(2))), abs=1e-3)


def test_variances_are_in_units_of_the_face():
    covariance = np.array([[[[8.0, 4.0], [4.0, 8.0]]], [[[1.0, 0.0], [0.0, -1e-12]]]])
    got = variances(covariance, np.array([2.0, 10.0]))
    np.testing.assert_allclose(got, [[[1.0, 3.0]], [[0.0, 0.01]]], atol=1e-12)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_a_temperature_is_found_again(temperature):
    rng = np.random.default_rng(0)
    axes_N2 = 0.1 * rng.uniform(0.3, 3.0, size=(40_000, 2)) / temperature
    errors_N2 = temperature * axes_N2 * rng.normal(size=axes_N2.shape)
    right_N = np.linalg.norm(errors_N2, axis=-1) <= 0.1
    found = fit_temperature(axes_N2**2, right_N, 0.1)
    assert found == pytest.approx(temperature, rel=0.02)
    assert calibration_gap(disc_probability(axes_N2**2, 0.1, found), right_N) < 0.01


def test_covariances_that_say_nothing_end_at_the_bounds():
    small_N2, never_N = np.full((100, 2), 1e-4), np.zeros(100, dtype=bool)
    assert fit_temperature(small_N2, never_N, 0.1) == pytest.approx(TEMPERATURES[1], rel=0.05)
    assert fit_temperature(np.full((100, 2), 1e6), ~never_N, 0.1) == pytest.approx(TEMPERATURES[0], rel=0.05)


def test_scores_by_hand():
    probability, right = np.array([0.9, 0.2, 0.6, 0.6]), np.array([True, False, True, False])
    assert log_loss(probability, right) == pytest.approx(
        -(math.log(0.9) + math.log(0.8) + math.log(0.6) + math.log(0.4)) / 4
    )
    # Bins 9, 2 and 6: |0.9 − 1|, |0.2 − 0|, |1.2 − 1|, over four.
    assert calibration_gap(probability, right) == pytest.approx((0.1 + 0.2 + 0.2) / 4)
    assert log_loss(np.array([0.0]), np.array([True])) == pytest.approx(-math.log(1e-6))
    assert calibration_gap(np.array([1.0]), np.array([True])) == 0.0
