"""The law: recovered from exact data, bounded, and honest about what few points carry."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.studies.scaling.power_law import Law, fit_law, fit_laws, fixed_parameters

COUNTS = np.array([0, 1000, 3000, 10_000, 30_000, 100_000], dtype=float)


@pytest.mark.parametrize(
    "law", [Law(11, 9, 3000, 0.7), Law(9, 11, 3000, 0.7), Law(6, 2, 500, 0.2), Law(6, 5.9, 20_000, 1.5)]
)
def test_exact_data_give_the_parameters_back(law):
    found, misfit = fit_law(COUNTS, law(COUNTS), np.ones(len(COUNTS)))
    assert misfit < 1e-12
    assert (found.e_0, found.e_inf, found.n_0, found.alpha) == pytest.approx(
        (law.e_0, law.e_inf, law.n_0, law.alpha), rel=1e-3
    )


def test_four_and_three_sizes_fix_what_they_cannot_carry():
    assert [fixed_parameters(m) for m in (3, 4, 5)] == [("alpha", "n_0"), ("alpha",), ()]
    with pytest.raises(ValueError, match="needs 3"):
        fixed_parameters(2)
    four, three = COUNTS[[0, 1, 3, 5]], COUNTS[[0, 1, 5]]
    law = Law(11, 9, 3000, 0.5)
    assert fit_law(four, law(four), np.ones(4))[0].n_0 == pytest.approx(3000, rel=1e-4)
    found = fit_law(three, Law(11, 9, 1000, 0.5)(three), np.ones(3))[0]
    assert (found.e_0, found.e_inf, found.n_0, found.alpha) == pytest.approx((11, 9, 1000, 0.5))


def test_an_error_cannot_fall_below_zero():
    counts = COUNTS[[0, 1, 3, 5]]
    law = fit_law(counts, np.array([8.0, 6.0, 3.0, 0.2]), np.ones(4))[0]
    assert law.e_inf >= 0
    assert law(1e12) >= 0


def test_the_curve_is_monotone_whatever_the_data():
    rng = np.random.default_rng(2)
    grid = np.geomspace(1, 1e7, 100)
    for law in fit_laws(COUNTS, rng.normal(6, 1, (30, 6)), np.ones(6)):
        steps = np.diff(law(grid))
        assert (steps <= 1e-12).all() or (steps >= -1e-12).all()


def test_weights_decide_between_points_that_disagree():
    counts = np.array([0.0, 1000.0, 1e5])
    errors = np.array([10.0, 9.0, 9.9])
    heavy = fit_law(counts, errors, np.array([1.0, 1.0, 1000.0]))[0]
    assert abs(heavy(1e5) - 9.9) < abs(fit_law(counts, errors, np.ones(3))[0](1e5) - 9.9)


def test_count_for_inverts_the_law():
    law = Law(11, 9, 3000, 0.7)
    assert law.count_for(float(law(12_345))) == pytest.approx(12_345)
    assert law.count_for(8.9) == np.inf
    assert law.count_for(11.5) == 0
    assert Law(5, 5, 10, 1).count_for(4) == np.inf
