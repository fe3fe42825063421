import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.losses.adl import ADL, LOSS, adl, adl_squares, smooth_adl
from pipeline.losses.curves import curve_neighbours
from pipeline.markup import load_markup

LINE = torch.tensor([[-1, 1], [0, 2], [1, -1], [-1, -1]])


def unit_vectors(count, seed=0):
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, count)
    return np.stack([np.cos(angle), np.sin(angle)], -1)


@pytest.mark.parametrize("lambda_", [0.5, 1.0, 2.0, 8.0])
def test_eq_3_and_4_by_numpy(lambda_):
    normal, error = unit_vectors(50), np.random.default_rng(1).normal(size=(50, 2))
    tangent = normal @ np.array([[0.0, 1.0], [-1.0, 0.0]]).T
    squares = (
        2 * lambda_ / (1 + lambda_) * (normal * error).sum(-1) ** 2
        + 2 / (1 + lambda_) * (tangent * error).sum(-1) ** 2
    )
    e, n = torch.tensor(error)[None], torch.tensor(normal)[None]
    np.testing.assert_allclose(adl_squares(e, n, lambda_)[0], squares, rtol=1e-10)
    np.testing.assert_allclose(adl(e, n, lambda_)[0], np.sqrt(squares), rtol=1e-10)
    length = np.linalg.norm(error, axis=-1)
    assert 5 < (length < 1).sum() < 45
    eq_4 = np.where(length < 1, 0.5 * squares, np.sqrt(squares) - 0.5)
    np.testing.assert_allclose(smooth_adl(e, n, lambda_, "euclidean")[0], eq_4, rtol=1e-10)
    joined = np.where(squares < 1, 0.5 * squares, np.sqrt(squares) - 0.5)
    np.testing.assert_allclose(smooth_adl(e, n, lambda_)[0], joined, rtol=1e-10)


def test_lambda_1_and_landmarks_off_the_curves_are_isotropic():
    error = torch.randn(1, 20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    normal = torch.tensor(unit_vectors(20))[None]
    torch.testing.assert_close(adl(error, normal, 1.0), error.norm(dim=-1))
    torch.testing.assert_close(adl(error, torch.zeros_like(normal), 4.0), error.norm(dim=-1))


def test_smooth_adl_joins_in_value_and_slope_where_eq_4_jumps():
    normal = torch.tensor([[[0.0, 1.0]]], dtype=torch.float64)
    at = lambda y, kind: smooth_adl(torch.tensor([[[0.0, y]]], dtype=torch.float64), normal, 2.0, kind).item()  # noqa: E731
    assert at(1 - 1e-9, "euclidean") - at(1 + 1e-9, "euclidean") > 0.01
    joint = (3 / 4) ** 0.5  # ADL₁ = √(4/3) |y| reaches 1
    assert at(joint - 1e-9, "weighted") == pytest.approx(at(joint + 1e-9, "weighted"), abs=1e-8)


def test_the_authors_units_are_those_of_px_over_half_the_side():
    """Their code: coordinates −1 … 1, ½ ADL₂ / 0.01 below 0.01, ADL₁ − 0.005 above."""
    normal = torch.tensor(unit_vectors(50))[None]
    error = torch.tensor(np.random.default_rng(2).normal(size=(1, 50, 2)))
    theirs_squares = adl_squares(error / 128, normal)
    theirs = torch.where(theirs_squares < 1e-4, 0.5 * theirs_squares / 0.01, theirs_squares.sqrt() - 0.005)
    assert 5 < (theirs_squares < 1e-4).sum() < 45
    torch.testing.assert_close(smooth_adl(error, normal, knee=1.28) / 128, theirs)


def test_collinear_neighbours_and_curve_ends_have_the_chords_normal():
    """Unevenly spaced on a line, eq. 5 points along the curve; evenly spaced, it is 0/0 and the chord stands in."""
    uneven = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [4.0, 0.0], [9.0, 9.0]]])
    even = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [4.0, 0.0], [9.0, 9.0]]])
    for points in (uneven, even):
        normals = ADL(LINE).normals(points)[0].abs()
        torch.testing.assert_close(normals, torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]]))
    literal = ADL(LINE, normal="second_difference")
    torch.testing.assert_close(literal.normals(uneven)[0, 1].abs(), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(literal.normals(even)[0, 1].abs(), torch.tensor([0.0, 1.0]))


def test_coincident_neighbours_are_isotropic_and_finite():
    target = torch.zeros(1, 4, 2)
    points = torch.ones(1, 4, 2, requires_grad=True)
    for loss in (ADL(LINE), ADL(LINE, kind="n1", normal="second_difference")):
        value = loss.per_landmark(points, target)
        torch.testing.assert_close(value, value[:, :1].expand(1, 4))
        (gradient,) = torch.autograd.grad(value.sum(), points)
        assert gradient.isfinite().all()


def test_across_costs_lambda_times_along_on_a_real_markup():
    loss = ADL.from_markup(load_markup("ibug68"), lambda_=4.0, kind="n2")
    target = torch.zeros(1, 68, 2)
    target[0, :, 0] = 5.0 * torch.arange(68)
    along = loss.per_landmark(target + torch.tensor([1.0, 0.0]), target)[0]
    across = loss.per_landmark(target + torch.tensor([0.0, 1.0]), target)[0]
    torch.testing.assert_close(across[:17], 4.0 * along[:17])


def test_settings_that_cannot_work_are_refused():
    neighbours = curve_neighbours(load_markup("ibug68"))
    with pytest.raises(ConfigError, match="ADL: lambda_"):
        ADL(neighbours, lambda_=-1.0)
    with pytest.raises(ConfigError, match="ADL: kind is 'n3'"):
        ADL(neighbours, kind="n3")
    with pytest.raises(ConfigError, match="ADL: knee is 0"):
        ADL(neighbours, knee=0)
    assert LOSS is ADL
