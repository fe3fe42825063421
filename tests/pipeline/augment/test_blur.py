"""Gaussian blur against scipy's, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from pipeline.augment.blur import Blur, gaussian_blur, gaussian_taps
from pipeline.errors import ConfigError


@given(st.lists(st.floats(0.2, 4.0), min_size=1, max_size=4), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_as_scipy_does(sigmas, seed):
    images = np.random.default_rng(seed).random((len(sigmas), 3, 24, 24))
    got = gaussian_blur(torch.from_numpy(images), torch.tensor(sigmas, dtype=torch.float64)).numpy()
    for image, blurred, sigma in zip(images, got, sigmas, strict=True):
        radius = int(np.ceil(3 * sigma))
        expected = gaussian_filter(image, (0, sigma, sigma), mode="nearest", radius=(0, radius, radius))
        np.testing.assert_allclose(blurred, expected, atol=1e-10)


def test_each_image_by_its_own_width():
    images, sigma = torch.rand(3, 3, 20, 20), torch.tensor([0.5, 2.0, 1.0])
    together = gaussian_blur(images, sigma)
    alone = torch.cat([gaussian_blur(images[i : i + 1], sigma[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_no_width_is_no_change():
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(gaussian_blur(images, torch.tensor([0.0, 2.0]))[0], images[0])
    assert torch.equal(gaussian_blur(images, torch.zeros(2)), images)


def test_light_is_kept_and_spread_by_sigma():
    image = torch.zeros(1, 3, 41, 41, dtype=torch.float64)
    image[..., 20, 20] = 1
    got = gaussian_blur(image, torch.tensor([2.0]))[0, 0]
    offset = torch.arange(41.0, dtype=torch.float64) - 20
    assert got.sum() == pytest.approx(1)
    # A kernel cut at 3 σ is a little narrower.
    assert (got.sum(0) * offset**2).sum().sqrt() == pytest.approx(2.0, rel=0.03)
    assert gaussian_taps(torch.tensor([2.0])).shape == (1, 7)


def test_wider_than_the_image():
    got = gaussian_blur(torch.rand(1, 3, 4, 4), torch.tensor([5.0]))
    assert got.isfinite().all()
    assert got.std() < 0.2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_keeps_the_images_type(dtype):
    image, sigma = torch.rand(1, 3, 16, 16), torch.tensor([1.5])
    got = gaussian_blur(image.to(dtype), sigma)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), gaussian_blur(image, sigma), atol=0.01, rtol=0)


def test_draws_within_the_range():
    sigma = Blur(0.3, (0.01, 0.02)).draw(torch.rand(4000, Blur.columns, dtype=torch.float64), 100)
    some = sigma[sigma > 0]
    assert len(some) / 4000 == pytest.approx(0.3, abs=0.03)
    assert 1.0 <= some.min() < 1.02
    assert 1.98 < some.max() <= 2.0


@pytest.mark.parametrize("wrong", [(1.1, (0.0, 0.01)), (0.5, (0.02, 0.01)), (0.5, (0.0, 0.2))])
def test_impossible_values_are_refused(wrong):
    with pytest.raises(ConfigError, match="blur"):
        Blur(*wrong)
