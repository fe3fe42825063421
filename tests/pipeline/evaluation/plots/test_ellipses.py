"""Ellipses have the axes, the direction and the place of their covariance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.evaluation.plots.ellipses import draw_ellipses, ellipse_axes, ellipse_outlines
from pipeline.evaluation.plots.palette import PREDICTION, TRUTH

GREY = np.full((80, 80, 3), 127, dtype=np.uint8)


def turned(long: float, short: float, angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    return turn @ np.diag([long**2, short**2]) @ turn.T


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 4, math.pi / 2, -0.3, -1.5])
def test_axes_and_angle(angle):
    axes, found = ellipse_axes(turned(5.0, 2.0, angle)[None])
    assert axes[0] == pytest.approx([5.0, 2.0])
    assert math.sin(found[0] - angle) == pytest.approx(0.0, abs=1e-9)


def test_axes_by_hand():
    covariances = np.array(
        [[[9, 0], [0, 4]], [[4, 0], [0, 9]], [[5, 3], [3, 5]], [[5, -3], [-3, 5]], [[4, 0], [0, 4]]]
    )
    axes, angle = ellipse_axes(covariances)
    assert axes == pytest.approx(np.array([[3, 2], [3, 2], [8**0.5, 2**0.5], [8**0.5, 2**0.5], [2, 2]]))
    assert angle == pytest.approx([0, math.pi / 2, math.pi / 4, -math.pi / 4, 0])
    assert ellipse_axes(np.zeros((1, 2, 2)))[0].tolist() == [[0, 0]]
    assert ellipse_axes(np.ones((1, 2, 2)))[0] == pytest.approx(np.array([[2**0.5, 0]]))


@pytest.mark.parametrize("sigmas", [1.0, 2.0])
def test_outlines_lie_at_their_mahalanobis_distance(sigmas):
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(6, 2, 2))
    covariances = factor @ factor.swapaxes(-1, -2) + 0.1 * np.eye(2)
    centres = rng.normal(0, 50, (6, 2))
    outlines = ellipse_outlines(centres, covariances, sigmas, points=40)
    assert outlines.shape == (6, 40, 2)
    offsets = outlines - centres[:, None]
    squared = np.einsum("kpi,kij,kpj->kp", offsets, np.linalg.inv(covariances), offsets)
    assert squared == pytest.approx(np.full((6, 40), sigmas**2))
    with pytest.raises(ValueError, match="positive"):
        ellipse_outlines(centres, covariances, 0.0)


def extent(image, colour):
    hit = (np.abs(image.astype(int) - np.array(colour)).max(axis=-1) < 90).nonzero()
    return [int(hit[1].min()), int(hit[1].max()), int(hit[0].min()), int(hit[0].max())]


def test_drawn_where_and_as_long_as_it_is():
    # σ 5 px in x, 2 px in y of an 80 px image: 20 and 8 px of one of 320, about 4·(x + ½) − ½.
    image = draw_ellipses(GREY, np.array([[40.0, 30.0]]), np.diag([25.0, 4.0])[None], width=320)
    assert image.shape == (320, 320, 3)
    assert extent(image, PREDICTION) == pytest.approx([141, 181, 113, 129], abs=1.6)
    twice = draw_ellipses(GREY, np.array([[40.0, 30.0]]), np.diag([25.0, 4.0])[None], sigmas=2.0, width=320)
    assert extent(twice, PREDICTION) == pytest.approx([121, 201, 105, 137], abs=1.6)


def test_truth_is_a_point_and_unknown_landmarks_are_left_out():
    predicted = np.array([[20.0, 20.0], [np.nan, 5.0]])
    target = np.array([[60.0, 60.0], [60.0, 20.0]])
    covariances = np.tile(np.eye(2), (2, 1, 1))
    image = draw_ellipses(GREY, predicted, covariances, target, mask_K=np.array([True, False]))
    assert np.mean(extent(image, TRUTH)) == pytest.approx(241.5, abs=1)
    assert (image[60:100, 220:260] == 127).all()
    assert draw_ellipses(GREY[:40], predicted, covariances, width=200).shape == (100, 200, 3)


def test_an_ellipse_far_larger_than_the_face_leaves_it_visible():
    image = draw_ellipses(GREY, np.full((3, 2), 40.0), np.tile(1e18 * np.eye(2), (3, 1, 1)))
    assert (image == 127).all(axis=-1).mean() > 0.9
