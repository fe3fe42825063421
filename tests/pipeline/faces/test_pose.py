"""Alignment against SciPy, components against an eigendecomposition, bins and means by hand, and yaw found where it is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import procrustes

from pipeline.errors import DataError
from pipeline.faces.pose import align, bins_of, mean_shape, pose_coordinates


def turned(shape_K2: np.ndarray, angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * shape_K2 @ rotation.T + shift


def heads(count: int, seed: int = 0, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Shapes of a rigid head of 12 points turned about its vertical axis, each placed anyhow; and the turns, radians."""
    random = np.random.default_rng(seed)
    head = random.normal(size=(12, 3)) * (1.0, 1.2, 0.6)
    yaw = random.uniform(-0.9, 0.9, count)
    shapes = []
    for angle in yaw:
        x = head[:, 0] * np.cos(angle) + head[:, 2] * np.sin(angle)
        shape = np.stack([x, head[:, 1]], -1) + noise * random.normal(size=(12, 2))
        shapes.append(
            turned(shape, random.uniform(-0.5, 0.5), random.uniform(20, 90), random.uniform(0, 99, 2))
        )
    return np.array(shapes), yaw


def test_two_shapes_are_aligned_as_scipy_does():
    shapes, _ = heads(2, seed=3)
    aligned, mean = align(shapes)
    first, second, disparity = procrustes(shapes[0], shapes[1])
    ours = np.square(aligned[0] - aligned[1]).sum()
    # SciPy puts the second onto the first, of norm 1; ours puts both onto their mean, of norm 1.
    assert ours == pytest.approx(disparity, rel=0.1)
    assert np.linalg.norm(mean) == pytest.approx(1.0)
    np.testing.assert_allclose(mean.mean(0), 0.0, atol=1e-12)
    assert np.linalg.norm(first - second) > 0


@given(
    st.floats(-3.0, 3.0), st.floats(0.1, 50.0), st.floats(-100.0, 100.0), st.floats(-100.0, 100.0), st.integers(0, 9)
)  # fmt: skip
def test_turn_scale_and_shift_leave_no_trace(angle, scale, x, y, seed):
    shapes, _ = heads(6, seed)
    moved = shapes.copy()
    moved[2] = turned(shapes[2], angle, scale, (x, y))
    np.testing.assert_allclose(align(moved)[0], align(shapes)[0], atol=1e-6)


def test_a_mirrored_shape_is_not_turned_into_the_other():
    shape = heads(1)[0][0]
    aligned, _ = align(np.array([shape, shape, shape, shape * (-1, 1)]))
    assert np.square(aligned[3] - aligned[0]).sum() > 0.1


def test_unknown_landmarks_do_not_shift_the_alignment():
    shapes, _ = heads(40, noise=0.0)
    hidden = shapes.copy()
    hidden[7, 3] = np.nan
    hidden[8, :4] = np.nan
    full, part = align(shapes)[0], align(hidden)[0]
    assert np.isnan(part[7, 3]).all()
    np.testing.assert_allclose(part[9:], full[9:], atol=0.02)
    np.testing.assert_allclose(part[8, 4:], full[8, 4:], atol=0.06)


def test_the_coordinate_is_the_first_principal_component():
    shapes, _ = heads(60, noise=0.02)
    aligned = align(shapes)[0].reshape(60, -1)
    values, vectors = np.linalg.eigh(np.cov(aligned.T))
    score = (aligned - aligned.mean(0)) @ vectors[:, -1]
    got = pose_coordinates(shapes)
    assert abs(np.corrcoef(got, score)[0, 1]) == pytest.approx(1.0, abs=1e-9)
    assert got.std() == pytest.approx(1.0)
    assert values[-1] > 3 * values[-2]


def test_yaw_is_found():
    shapes, yaw = heads(200, noise=0.01)
    assert abs(np.corrcoef(pose_coordinates(shapes), yaw)[0, 1]) > 0.98


def test_yaw_is_found_where_a_turned_head_hides_its_far_side():
    """As AFLW marks profiles: the landmarks of the far side are unknown."""
    shapes, yaw = heads(300, noise=0.01)
    hidden = shapes.copy()
    x = np.random.default_rng(0).normal(size=(12, 3))[:, 0]  # left and right on the head that ``heads`` turns
    for i in np.flatnonzero(np.abs(yaw) > 0.5):
        hidden[i, x * np.sign(yaw[i]) > 0.2] = np.nan
    full, part = pose_coordinates(shapes), pose_coordinates(hidden)
    part *= np.sign(np.corrcoef(full, part)[0, 1])
    turned = np.abs(yaw) > 0.5
    assert np.isfinite(part).all()
    # With the gaps at the mean shape's place: 0.66, a seventh of the slope, and nobody turned in the outermost bins.
    assert np.corrcoef(full, part)[0, 1] > 0.97
    slopes = [np.polyfit(full[these], part[these], 1)[0] for these in (turned, ~turned)]
    assert slopes[0] > 0.55 * slopes[1]
    bins = bins_of(part, 9)
    assert turned[(bins == 0) | (bins == 8)].mean() > 0.7


def test_faces_without_a_shape_have_no_pose_and_go_to_the_middle():
    shapes, _ = heads(30)
    shapes[4] = np.nan
    shapes[5, 1:] = np.nan
    shapes[6] = 3.0  # all landmarks in one place
    got = pose_coordinates(shapes)
    assert np.isnan(got).tolist() == [i in (4, 5, 6) for i in range(30)]
    bins = bins_of(got, 9)
    assert bins[4] == bins[5] == bins_of(np.append(got, 0.0), 9)[-1]


def test_bins_are_of_equal_width():
    assert bins_of(np.array([-2.0, -1.01, -1.0, 0.0, 0.99, 2.0]), 4).tolist() == [0, 0, 1, 2, 2, 3]
    assert bins_of(np.array([1.0, 1.0]), 3).tolist() == [0, 0]


def test_the_mean_of_bin_means_is_not_the_crowds():
    frontal, profile = np.zeros((9, 3, 2)), np.full((1, 3, 2), 10.0)
    shapes = np.concatenate([frontal, profile])
    np.testing.assert_allclose(mean_shape(shapes), 1.0)
    np.testing.assert_allclose(mean_shape(shapes, np.array([0] * 9 + [5])), 5.0)
    shapes[9, 2] = np.nan  # the bin of profiles says nothing of the last landmark
    np.testing.assert_allclose(mean_shape(shapes, np.array([0] * 9 + [5]))[:, 0], [5.0, 5.0, 0.0])


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (heads(1)[0], "at least two faces"),
        (np.repeat(heads(1)[0], 5, axis=0), "the same shape"),
        (np.full((4, 12, 2), np.nan), "at least two faces, not 0"),
    ],
)
def test_sets_without_poses(shapes, reason):
    with pytest.raises(DataError, match=reason):
        pose_coordinates(shapes)


def test_a_landmark_that_nobody_has():
    shapes, _ = heads(5)
    without = np.delete(shapes, 3, axis=1)
    shapes[:, 3] = np.nan
    np.testing.assert_allclose(pose_coordinates(shapes), pose_coordinates(without))
    with pytest.raises(DataError, match=r"\[3\] are known in no face"):
        align(shapes)
    with pytest.raises(DataError, match=r"\[3\] are known in no face"):
        mean_shape(shapes)
