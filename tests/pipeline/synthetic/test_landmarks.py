import numpy as np
import pytest

from pipeline.markup import load_markup
from pipeline.synthetic.landmarks import Brow, Eye, landmark_weights, surface_coordinates
from pipeline.synthetic.modes import EXPRESSION_MODES, IDENTITY_MODES, deform, displacement_fields


def points(shape=None, left=None, right=None):
    at = surface_coordinates(left or Eye(), right or Eye(), Brow(), Brow())
    indices, weights = landmark_weights(at)
    return np.einsum("kc,kcd->kd", weights, deform(shape or {})[indices].astype(np.float64))


def test_a_neutral_face_is_symmetric_under_the_flip_permutation():
    neutral = points()
    np.testing.assert_allclose(
        neutral[load_markup("ibug68").flip_permutation] * [-1, 1, 1], neutral, atol=0.04
    )  # cells' diagonals all run one way


def test_landmarks_are_in_the_order_of_300w():
    x, y, z = points().T
    assert (np.diff(x[:17]) > 0).all()  # jaw, from the viewer's left
    assert y[8] == y[:17].min()
    assert (np.diff(x[17:27]) > 0).all()  # brows
    assert (np.diff(y[27:31]) < 0).all()  # bridge, downwards
    assert z[30] == z.max()  # tip of the nose
    assert (np.diff(x[31:36]) > 0).all()
    for outer, inner, upper, lower in ((36, 39, (37, 38), (41, 40)), (45, 42, (44, 43), (46, 47))):
        assert abs(x[outer]) > abs(x[inner])
        assert min(y[list(upper)]) > max(y[outer], y[inner]) > max(y[list(lower)])
    assert (np.diff(x[48:55]) > 0).all()
    assert (np.diff(x[54:60]) < 0).all()
    assert y[51] > y[62] >= y[66] > y[57]
    assert y[36:48].max() < y[17:27].min()
    assert y[48:60].max() < y[31:36].min()


def test_proportions_are_human():
    p = points()
    assert np.linalg.norm(p[36] - p[45]) == pytest.approx(9.2, abs=0.5)
    assert np.linalg.norm(p[39] - p[42]) == pytest.approx(3.2, abs=0.3)
    assert np.linalg.norm(p[48] - p[54]) == pytest.approx(5.2, abs=0.3)
    assert p[27, 1] - p[8, 1] == pytest.approx(12, abs=0.8)


def test_lids_follow_closure():
    open_, shut = points(), points(left=Eye(closure=1.0))
    for upper, lower in ((37, 41), (38, 40)):
        assert open_[upper, 1] - open_[lower, 1] > 0.7
        assert abs(shut[upper, 1] - shut[lower, 1]) < 0.05
    np.testing.assert_allclose(shut[42:48], open_[42:48])


def test_inner_lips_follow_the_jaw():
    gaps = [
        np.linalg.norm(p[62] - p[66]) for p in (points({"jaw_open": amount}) for amount in (0.0, 0.5, 1.0))
    ]
    assert gaps[0] < 0.12
    assert 0.8 < gaps[1] < gaps[2] < 4
    opened = points({"jaw_open": 1.0})
    assert opened[8, 1] < points()[8, 1] - 1.5  # the chin drops
    np.testing.assert_allclose(opened[17:31], points()[17:31], atol=0.1)  # the upper face stays


def test_a_smile_lifts_and_spreads_the_corners():
    rest, smile = points(), points({"smile": 1.0})
    assert smile[54, 0] > rest[54, 0] + 0.3
    assert smile[54, 1] > rest[54, 1] + 0.3
    assert smile[48, 0] < rest[48, 0] - 0.3


def test_modes_are_small_finite_and_named():
    fields = displacement_fields()
    assert set(fields) == {*IDENTITY_MODES, *EXPRESSION_MODES}
    for name, field in fields.items():
        assert np.isfinite(field).all()
        largest = float(np.linalg.norm(field, axis=1).max())
        assert 0.05 < largest < (5 if name == "jaw_open" else 1.6), name
    with pytest.raises(KeyError):
        deform({"no_such_mode": 1.0})
