"""The colour matrix against the operations it stands for, written out one by one."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from pipeline.augment.colour import Colour, ColourDraw, recolour
from pipeline.errors import ConfigError

LUMA = np.array([0.299, 0.587, 0.114])


def draw(gain=(1.0, 1.0, 1.0), contrast=1.0, saturation=1.0, hue=0.0) -> ColourDraw:
    return ColourDraw(*(torch.tensor([v], dtype=torch.float64) for v in (gain, contrast, saturation, hue)))


def apply(image_3HW: np.ndarray, **changes) -> np.ndarray:
    return recolour(torch.from_numpy(image_3HW)[None], *draw(**changes).matrices())[0].numpy()


@given(st.tuples(*[st.floats(0.9, 1.1)] * 3), st.floats(0.8, 1.2), st.floats(0.0, 1.5), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_gains_contrast_and_saturation_one_after_another(gain, contrast, saturation, seed):
    # Colours that none of these takes to a limit, where the chain would clip more than once.
    image = np.random.default_rng(seed).uniform(0.35, 0.6, (3, 9, 7))
    expected = image * np.array(gain)[:, None, None]
    mean = float((expected * LUMA[:, None, None]).sum(0).mean())
    expected = mean + contrast * (expected - mean)
    own = (expected * LUMA[:, None, None]).sum(0)
    expected = own + saturation * (expected - own)
    got = apply(image, gain=gain, contrast=contrast, saturation=saturation)
    np.testing.assert_allclose(got, expected.clip(0, 1), atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "enhancer"),
    [
        ({"gain": (1.3,) * 3}, (ImageEnhance.Brightness, 1.3)),
        ({"contrast": 0.6}, (ImageEnhance.Contrast, 0.6)),
        ({"saturation": 0.4}, (ImageEnhance.Color, 0.4)),
        ({"saturation": 0.0}, (ImageEnhance.Color, 0.0)),
    ],
)
def test_as_pillow_does_within_its_eight_bits(changes, enhancer):
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    kind, factor = enhancer
    expected = np.asarray(kind(Image.fromarray(image)).enhance(factor)).transpose(2, 0, 1) / 255
    got = apply(image.transpose(2, 0, 1) / 255, **changes)
    assert np.abs(got - expected).max() < 2.5 / 255


@given(st.floats(-180, 180), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_a_turn_of_hue_keeps_luma_and_chroma(hue, seed):
    image = np.random.default_rng(seed).uniform(0.45, 0.55, (3, 5, 5))
    got = apply(image, hue=hue)
    for turned, plain in zip(got.reshape(3, -1).T, image.reshape(3, -1).T, strict=True):
        (y, *chroma), (y_was, *chroma_was) = colorsys.rgb_to_yiq(*turned), colorsys.rgb_to_yiq(*plain)
        # colorsys rounds its coefficients to two digits.
        assert y == pytest.approx(y_was, abs=2e-3)
        assert math.hypot(*chroma) == pytest.approx(math.hypot(*chroma_was), abs=2e-3)
    np.testing.assert_allclose(apply(got, hue=-hue), image, atol=1e-9)


def test_hue_and_saturation_leave_grey_alone():
    grey = np.full((3, 4, 4), 0.4)
    np.testing.assert_allclose(apply(grey, hue=77.0, saturation=1.7), grey, atol=1e-12)


def test_clips_to_the_range():
    got = apply(np.random.default_rng(0).uniform(0, 1, (3, 8, 8)), gain=(2.0, 2.0, 2.0))
    assert got.max() == 1.0
    assert got.min() >= 0.0


def test_without_a_pivot_the_mean_does_not_matter():
    image = torch.rand(2, 3, 8, 8)
    matrix, pivot = draw(gain=(0.9, 1.0, 1.1)).matrices()
    assert not pivot.any()
    with_pivot = recolour(image, matrix.repeat(2, 1, 1), pivot.repeat(2, 1))
    torch.testing.assert_close(recolour(image, matrix.repeat(2, 1, 1)), with_pivot)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("pivot", [None, torch.full((2, 3), 0.1)])
def test_writes_where_it_is_told(dtype, pivot):
    images, matrices = torch.rand(2, 3, 8, 8).to(dtype), torch.rand(2, 3, 3)
    out = torch.full_like(images, -1)
    given = recolour(images, matrices, pivot, out)
    assert given is out
    assert torch.equal(out, recolour(images, matrices, pivot))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_keeps_the_images_type(dtype):
    image = torch.rand(1, 3, 8, 8)
    got = recolour(image.to(dtype), *draw(contrast=1.2, hue=20.0).matrices())
    assert got.dtype == dtype
    torch.testing.assert_close(
        got.float(), recolour(image, *draw(contrast=1.2, hue=20.0).matrices()), atol=0.01, rtol=0
    )


def test_draws_within_ranges_and_by_probability():
    u = torch.rand(4000, Colour.columns, dtype=torch.float64)
    got = Colour(0.3, 0.2, 0.4, 0.1, 15.0, probability=0.5, grey=0.2).draw(u)
    assert got.changed().double().mean() == pytest.approx(0.6, abs=0.03)
    assert (got.saturation_B == 0).double().mean() == pytest.approx(0.2, abs=0.03)
    assert (got.gain_B3 - 1).abs().max() <= 1.3 * 1.1 - 1 + 1e-9
    assert 0.19 < (got.contrast_B - 1).abs().max() <= 0.2
    assert 14.5 < got.hue_B.abs().max() <= 15
    only_grey = Colour(grey=0.3).draw(u)
    assert torch.equal(only_grey.changed(), u[:, 8] < 0.3)
    assert torch.equal(
        only_grey.changed(), Colour(grey=0.3, brightness=0.5, probability=0.0).draw(u).changed()
    )


@pytest.mark.parametrize("wrong", [{"brightness": -0.1}, {"contrast": 1.5}, {"hue": 200}, {"grey": 2}])
def test_impossible_ranges_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Colour(**wrong)
