"""The filter against its steady state and a textbook run; faces are followed by their boxes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.inference.predictor import Predictor
from pipeline.inference.smooth import Smoother, overlap

BOX = (50.0, 40.0, 150.0, 160.0)  # a face of 48 px


@pytest.fixture
def predictor(make_colour_model) -> Predictor:
    return Predictor(make_colour_model())


@pytest.fixture
def face(predictor):
    (face,) = predictor(np.full((200, 200, 3), 90, dtype=np.uint8), [BOX])
    return replace(face, covariance_K22=np.tile(np.diag([4.0, 9.0]), (3, 1, 1)))


def run(smoother: Smoother, face, points_NK2: np.ndarray, dt: float):
    smoothed = []
    for frame, points in enumerate(points_NK2):
        (one,), _ = smoother.frame([replace(face, points_K2=points)], frame * dt)
        smoothed.append(one)
    return smoothed


def test_the_gain_settles_where_the_alpha_beta_filter_says(predictor, face):
    """Kalata, "The Tracking Index", IEEE Trans. Aerospace 1984: α of λ = a dt² / σ, for white acceleration."""
    dt, acceleration = 0.04, 30.0
    rng = np.random.default_rng(0)
    points = rng.uniform(60, 140, (200, 3, 2))
    smoothed = run(Smoother(predictor, acceleration), face, points, dt)
    for axis, sigma in enumerate((2.0, 3.0)):
        index = acceleration * face.size * dt**2 / sigma
        damping = (4 + index - math.sqrt(8 * index + index**2)) / 4
        alpha = 1 - damping**2
        # P = (I − G H) P⁻: the position's variance is α R.
        assert smoothed[-1].covariance_K22[0, axis, axis] == pytest.approx(alpha * sigma**2, rel=1e-3)
    assert smoothed[-1].covariance_K22[0, 0, 1] == pytest.approx(0.0, abs=1e-9)


def test_jitter_goes_and_motion_stays(predictor, face):
    rng = np.random.default_rng(0)
    start, speed = face.points_K2, np.array([30.0, -12.0])
    true = start + speed * (np.arange(120) * 0.04)[:, None, None]
    noisy = true + rng.normal(size=true.shape) * [2.0, 3.0]
    smoothed = np.stack([f.points_K2 for f in run(Smoother(predictor, 3.0), face, noisy, 0.04)])
    before, after = (np.sqrt(np.square(p[40:] - true[40:]).mean()) for p in (noisy, smoothed))
    assert after < 0.6 * before
    # It does not lag behind a steady motion: filters are linear, so without noise the error must vanish.
    exact = run(Smoother(predictor, 3.0), face, true, 0.04)[-1].points_K2
    np.testing.assert_allclose(exact, true[-1], atol=1e-2)


def test_a_temperature_is_the_scale_of_the_noise_and_not_of_the_answer(predictor, face):
    points = np.random.default_rng(0).uniform(60, 140, (5, 3, 2))
    plain = run(Smoother(predictor, 30.0), face, points, 0.04)[-1]
    predictor.temperature = 0.5
    told = replace(face, covariance_K22=face.covariance_K22 * 4)
    scaled = run(Smoother(predictor, 30.0), told, points, 0.04)[-1]
    np.testing.assert_allclose(scaled.points_K2, plain.points_K2)
    np.testing.assert_allclose(scaled.covariance_K22, 4 * plain.covariance_K22)
    np.testing.assert_allclose(scaled.confidence_K, plain.confidence_K)
    assert not scaled.calibrated


def test_faces_are_followed_by_their_boxes(predictor, face):
    other = replace(face, box=(300.0, 40.0, 400.0, 160.0))
    moved = replace(face, box=(60.0, 45.0, 160.0, 165.0))
    smoother = Smoother(predictor, 30.0)
    assert smoother.frame([face, other], 0.0)[1] == [1, 2]
    assert smoother.frame([other, moved], 0.1)[1] == [2, 1]
    assert smoother.frame([moved], 0.2)[1] == [1]
    assert smoother.frame([moved, other], 0.3)[1] == [1, 3]  # gone for a frame: another track


def test_what_cannot_work_is_refused(predictor, face):
    with pytest.raises(ConfigError, match="must be above 0"):
        Smoother(predictor, 0.0)
    with pytest.raises(ConfigError, match="states no uncertainty"):
        Smoother(predictor, 1.0).frame([replace(face, covariance_K22=None)], 0.0)


def test_overlap_by_hand():
    assert overlap((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert overlap((0, 0, 2, 2), (2, 0, 4, 2)) == 0.0
    assert overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1.0
