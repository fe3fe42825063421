"""A small markup and small sets of faces whose numbers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import Protocol
from pipeline.markup import Curve, Markup


@pytest.fixture(scope="session")
def tiny() -> Markup:
    """Six landmarks: outer and inner corner of each eye, nose tip (on no curve), chin."""
    return Markup(
        name="tiny",
        num_landmarks=6,
        curves=(Curve("left_eye", (0, 1)), Curve("right_eye", (2, 3)), Curve("chin", (5,))),
        flip_pairs=((0, 3), (1, 2)),
        ocular=(0, 3),
        pupils=((0, 1), (2, 3)),
    )


@pytest.fixture(scope="session")
def tiny_face() -> np.ndarray:
    """(6, 2) px. Ocular 100, pupils at 15 and 85 so 70, box 100 × 100, diagonal 100·√2."""
    return np.array([[0, 0], [30, 0], [70, 0], [100, 0], [50, 60], [50, 100]], dtype=np.float64)


def make_predictions(
    markup: Markup,
    *,
    faces: int = 12,
    noise: float = 2.0,
    seed: int = 0,
    images: bool = True,
    size: int = 80,
    covariance: float | None = None,
) -> Predictions:
    """Faces on a ring per curve, with noisy answers and flat images; ``seed`` moves only the noise.

    ``covariance`` states the noise's own, times this.
    """
    shape_rng, noise_rng = np.random.default_rng(7), np.random.default_rng(seed)
    k = markup.num_landmarks
    angle = np.linspace(0, 2 * np.pi, k, endpoint=False)
    base = 100 + 60 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    target = base + shape_rng.normal(0, 1.5, (faces, k, 2))
    points = target + noise_rng.normal(0, noise, target.shape)
    return Predictions(
        keys=np.array([f"face-{i:03d}" for i in range(faces)]),
        points_NK2=points,
        target_NK2=target,
        mask_NK=np.ones((faces, k), dtype=bool),
        scale_N=np.full(faces, 0.5),
        scatter_NK=np.abs(noise_rng.normal(1.0 + noise, 0.1, (faces, k))),
        covariance_NK22=None
        if covariance is None
        else np.tile((covariance * noise**2 * np.eye(2)).astype(np.float32), (faces, k, 1, 1)),
        images_NSS3=shape_rng.integers(0, 255, (faces, size, size, 3), dtype=np.uint8) if images else None,
        crops_N3=np.tile([20.0, 20.0, 160.0], (faces, 1)) if images else None,
    )


@pytest.fixture(scope="session")
def predict() -> Callable[..., Predictions]:
    return make_predictions


@pytest.fixture
def predictions(tiny: Markup) -> Predictions:
    return make_predictions(tiny)


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    return Protocol(dataset="300w", split="test")
