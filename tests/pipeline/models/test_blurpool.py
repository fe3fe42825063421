import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.models.blurpool import BlurPool, MaxBlurPool, make_pool


def test_against_scipy():
    x = torch.rand(2, 3, 8, 10, dtype=torch.float64)
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    blurred = BlurPool(3).double()(x)
    for b in range(2):
        for c in range(3):
            padded = np.pad(x[b, c].numpy(), 1, mode="edge")
            np.testing.assert_allclose(blurred[b, c], convolve2d(padded, kernel, "valid")[::2, ::2])


def test_max_blur_is_the_dense_maximum_filtered_and_subsampled():
    x = torch.rand(1, 2, 8, 8)
    padded = F.pad(x, (0, 1, 0, 1), mode="replicate")
    dense = torch.stack([padded[..., i : i + 8, j : j + 8] for i in (0, 1) for j in (0, 1)]).amax(0)
    torch.testing.assert_close(MaxBlurPool(2)(x), BlurPool(2)(dense))


@pytest.mark.parametrize("kind", ["max", "blur"])
def test_a_shift_of_two_pixels_is_a_shift_of_one_cell(kind):
    x = torch.zeros(1, 1, 24, 24)
    x[..., 8:14, 8:14] = torch.rand(6, 6)
    pool = make_pool(kind, 1)
    torch.testing.assert_close(pool(x.roll((2, 4), (-2, -1))), pool(x).roll((1, 2), (-2, -1)))


def test_a_shift_of_one_pixel_changes_less_than_with_plain_pooling():
    torch.manual_seed(0)
    x = torch.zeros(16, 1, 32, 32)
    x[..., 8:24, 8:24] = torch.rand(16, 1, 16, 16)

    def inconsistency(pool):
        return ((pool(x.roll(1, -1)) - pool(x)).norm() / pool(x).norm()).item()

    assert inconsistency(make_pool("blur", 1)) < 0.6 * inconsistency(make_pool("max", 1))


def test_the_highest_frequency_is_gone_and_a_constant_stays():
    checks = torch.arange(8)[:, None].add(torch.arange(8)).remainder(2).mul(2.0).sub(1.0)[None, None]
    torch.testing.assert_close(BlurPool(1)(checks)[..., 1:, 1:], torch.zeros(1, 1, 3, 3))
    torch.testing.assert_close(MaxBlurPool(1)(torch.full((1, 1, 6, 6), 3.0)), torch.full((1, 1, 3, 3), 3.0))


@pytest.mark.parametrize("kind", ["max", "blur"])
def test_a_blob_stays_where_stride_says(kind):
    """Centre of mass before, at stride 1, and after, at stride 2, by the convention of heatmaps.stride."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    blob = torch.exp(-((x - 15.3) ** 2 + (y - 14.8) ** 2) / 18)[None, None]
    pooled = make_pool(kind, 1)(blob)[0, 0]
    centre = (pooled.sum(0) @ torch.arange(16.0) / pooled.sum() + 0.5) * 2 - 0.5
    assert centre.item() == pytest.approx(15.3, abs=0.03)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="choose from max, blur"):
        make_pool("mean", 3)
