"""Selective prediction on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.metrics.selection import (
    area_under_risk,
    failures_found,
    oracle,
    risk_at,
    risk_coverage,
    sparsification_error,
)

ERRORS = np.array([4.0, 1.0, 3.0, 2.0])
UNSURE = np.array([0.4, 0.2, 0.1, 0.3])  # surest first: 3, 1, 2, 4


def test_by_hand():
    coverage, risk = risk_coverage(ERRORS, UNSURE)
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(risk, [3.0, 2.0, 2.0, 2.5])
    np.testing.assert_allclose(oracle(ERRORS, UNSURE)[1], [1.0, 1.5, 2.0, 2.5])
    assert area_under_risk(ERRORS, UNSURE) == pytest.approx(9.5 / 4)
    assert sparsification_error(ERRORS, UNSURE) == pytest.approx((2.0 + 0.5) / 4 / 2.5)
    assert risk_at(ERRORS, UNSURE, 0.5) == 2.0
    assert risk_at(ERRORS, UNSURE, 0.01) == 3.0
    rejected, found = failures_found(ERRORS, UNSURE, 2.5)
    np.testing.assert_allclose(rejected, [0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(found, [0, 0.5, 0.5, 0.5, 1.0])


def test_the_errors_own_order_is_perfect_and_a_constant_tells_nothing():
    assert sparsification_error(ERRORS, 7 * ERRORS) == 0.0
    constant = np.ones(4)
    np.testing.assert_allclose(risk_coverage(ERRORS, constant)[1], 2.5)  # whatever the order of the faces
    np.testing.assert_allclose(risk_coverage(ERRORS[::-1], constant)[1], 2.5)
    np.testing.assert_allclose(failures_found(ERRORS, constant, 2.5)[1], [0, 0.25, 0.5, 0.75, 1.0])


def test_a_random_order_is_worth_nothing_on_the_mean():
    rng = np.random.default_rng(0)
    errors = rng.gamma(2.0, 1.0, 500)
    areas = [area_under_risk(errors, rng.uniform(size=500)) for _ in range(40)]
    assert np.mean(areas) == pytest.approx(errors.mean(), rel=0.03)


def test_faces_without_an_error_or_an_uncertainty_are_left_out():
    errors, unsure = np.append(ERRORS, [np.nan, 5.0]), np.append(UNSURE, [0.5, np.nan])
    np.testing.assert_array_equal(risk_coverage(errors, unsure)[1], risk_coverage(ERRORS, UNSURE)[1])
    np.testing.assert_array_equal(
        failures_found(errors, unsure, 2.5)[1], failures_found(ERRORS, UNSURE, 2.5)[1]
    )
    nothing = np.full(4, np.nan)
    assert np.isnan(area_under_risk(ERRORS, nothing))
    assert np.isnan(risk_at(ERRORS, nothing, 0.5))
    assert np.isnan(sparsification_error(np.zeros(4), UNSURE))
    with pytest.raises(ValueError, match="no face has an error and"):
        risk_coverage(ERRORS, nothing)
    with pytest.raises(ValueError, match="no failure to find"):
        failures_found(ERRORS, UNSURE, 9.0)
