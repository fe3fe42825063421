"""Perturbed images on arithmetic that can be checked by eye: where the black is, which way a line is smeared."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.perturbation import PERTURBATIONS
from pipeline.evaluation.robustness import (
    LENGTHS,
    SIZES,
    box_noise,
    motion_blur,
    perturb,
    recropped,
)

KEYS = [f"face-{i}" for i in range(200)]
NOWHERE = np.full(len(KEYS), np.nan)


@pytest.fixture(scope="module")
def white() -> np.ndarray:
    return np.full((len(KEYS), 40, 40, 3), 255, dtype=np.uint8)


@pytest.mark.parametrize("strength", ["medium", "large"])
def test_an_ellipse_of_random_size_and_place_is_black(white, strength):
    images = perturb(white, KEYS, f"occlusion-{strength}", NOWHERE)
    black = (images == 0).all(-1)
    assert ((images == 255).all(-1) | black).all()
    assert black.any((1, 2)).all()
    # An ellipse that lies inside has π/4 of its box; its sides are uniform in their range.
    width, height = (black.any(axis).sum(-1) / 40 for axis in (1, 2))
    inside = ~(black[:, [0, -1]].any((1, 2)) | black[:, :, [0, -1]].any((1, 2)))
    low, high = SIZES[strength]
    assert inside.sum() > 20
    for length in (width[inside], height[inside]):
        assert low - 0.05 <= length.min() < length.max() <= high + 0.05
    filled = black[inside].sum((1, 2)) / (width * height)[inside] / 1600
    assert filled.mean() == pytest.approx(np.pi / 4, abs=0.06)


def test_every_model_sees_the_same_and_large_is_medium_grown(white):
    medium, large = (perturb(white, KEYS, f"occlusion-{s}", NOWHERE) for s in ("medium", "large"))
    np.testing.assert_array_equal(medium[::-1], perturb(white, KEYS[::-1], "occlusion-medium", NOWHERE))
    assert ((large == 0) | (medium == 255)).all()
    assert (white == 255).all()  # what came is left as it is
    assert len(np.unique(medium.reshape(len(KEYS), -1), axis=0)) == len(KEYS)


def test_a_point_becomes_a_line_along_the_motion():
    image = np.zeros((2, 41, 41, 3), dtype=np.uint8)
    image[:, 20, 20] = 250
    level, upright = motion_blur(image, np.array([0.0, np.pi / 2]), 10.0)[..., 0].astype(float)
    assert np.flatnonzero(level[20]).tolist() == list(range(15, 26))
    assert np.delete(level, 20, axis=0).max() == 0
    np.testing.assert_array_equal(upright, level.T)
    assert level.sum() == pytest.approx(250, abs=6)  # rounding of eleven pixels
    slant = motion_blur(image[:1], np.array([np.pi / 4]), 10.0)[0, ..., 0]
    assert slant[23, 23] > 0
    assert slant[17, 23] == 0  # y points down


def test_blur_goes_the_given_way_and_where_none_is_given_a_random_one():
    image = np.zeros((3, 41, 41, 3), dtype=np.uint8)
    image[:, 20, 20] = 250
    given = np.array([0.0, np.nan, np.nan])
    got = perturb(image, ["a", "b", "c"], "blur-large", given)[..., 0]
    assert got[0].any(1).sum() == 1
    assert got[0].any(0).sum() == pytest.approx(LENGTHS["large"] * 41 + 1, abs=2)
    assert (got[1] != got[2]).any()
    again = perturb(image, ["a", "b", "c"], "blur-large", given)[..., 0]
    np.testing.assert_array_equal(got, again)
    assert len(PERTURBATIONS) == 4


def test_box_noise_is_uniform_and_the_crop_shows_what_lies_there():
    shift, factor = box_noise(KEYS, 0.05)
    assert np.abs(shift).max() <= 0.05
    assert np.abs(factor - 1).max() <= 0.05
    assert np.abs(shift).mean() == pytest.approx(0.025, abs=0.004)
    # A ramp tells where each pixel is from: x' = (x − (s − 1)/2) · factor + (s − 1)/2 + shift · s.
    x = np.arange(40.0)
    ramp = np.tile((3 * x).astype(np.uint8)[:, None], (1, 40, 1, 3))
    got = recropped(ramp, np.array([[0.05, 0.0]]), np.array([0.9]))[0, 20, :, 0]
    expected = 3 * ((x - 19.5) * 0.9 + 19.5 + 2.0)
    np.testing.assert_allclose(got[2:37], expected[2:37], atol=0.6)
