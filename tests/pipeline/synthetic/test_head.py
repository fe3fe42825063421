import numpy as np
import pytest

from pipeline.synthetic.grid import grid_normals
from pipeline.synthetic.head import MOUTH_BAND, curve, locate, mean_head


def test_curve_passes_through_its_knots_and_is_constant_outside():
    knots = ((0.0, 1.0), (1.0, 3.0), (2.5, -1.0))
    np.testing.assert_allclose(
        curve(np.array([0.0, 1.0, 2.5, -7.0, 9.0]), knots), [1, 3, -1, 1, -1], atol=1e-12
    )


def test_curve_matches_scipy_hermite_spline():
    interpolate = pytest.importorskip("scipy.interpolate")
    knots = ((0.0, 1.0), (1.0, 3.0), (2.5, -1.0), (4.0, 0.5))
    at, value = np.array(knots).T
    x = np.linspace(0, 4, 57)
    expected = interpolate.CubicHermiteSpline(at, value, np.gradient(value, at))(x)
    np.testing.assert_allclose(curve(x, knots), expected, atol=1e-12)


def test_mean_head_is_mirror_symmetric_and_anatomically_sized():
    head = mean_head()
    grid = head.vertices_V3.reshape(len(head.rows_R), len(head.columns_C), 3)
    np.testing.assert_allclose(grid[:, ::-1] * [-1, 1, 1], grid, atol=1e-4)
    width, height, depth = np.ptp(head.vertices_V3, axis=0)
    assert 14 < width < 17
    assert 21 < height < 25
    assert 19 < depth < 24


def test_normals_point_outwards():
    head = mean_head()
    normals = grid_normals(head.vertices_V3, len(head.rows_R), len(head.columns_C), closed=True)
    band = (head.down_V < MOUTH_BAND[0]) & (
        head.down_V > MOUTH_BAND[1]
    )  # coincident rows: no normal until the mouth opens
    np.testing.assert_allclose(np.linalg.norm(normals[~band], axis=1), 1, atol=1e-3)
    skull = (head.down_V < 10) & (head.down_V > -10)
    outwards = head.vertices_V3 - np.array([0, 0, -8.5])
    outwards[:, 1] = 0
    assert np.mean((normals * outwards).sum(axis=1)[skull] > 0) > 0.95


def test_the_mouth_is_closed_at_rest():
    head = mean_head()
    across = np.linspace(-2, 2, 9)
    points = []
    for row in MOUTH_BAND:
        indices, weights = locate(across, np.full(9, row))
        points.append(np.einsum("nk,nkd->nd", weights, head.vertices_V3[indices]))
    assert np.linalg.norm(points[0] - points[1], axis=1).max() < 0.12


def test_locate_finds_the_asked_surface_coordinates():
    head = mean_head()
    rng = np.random.default_rng(0)
    across, down = rng.uniform(-4.5, 4.5, 200), rng.uniform(-11, 8, 200)
    indices, weights = locate(across, down)
    assert weights.min() >= -1e-9
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose((weights * head.down_V[indices]).sum(axis=1), down, atol=1e-5)
    np.testing.assert_allclose((weights * head.across_V[indices]).sum(axis=1), across, atol=0.02)
    triangles = {tuple(sorted(t)) for t in head.triangles_T3.tolist()}
    assert all(tuple(sorted(t)) in triangles for t in indices.tolist())
