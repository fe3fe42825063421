import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.heatmaps.decode import covariance, mean, moments, softargmax
from pipeline.heatmaps.draw import gaussian_heatmaps, laplace_heatmaps

DRAWN = {"laplace": laplace_heatmaps, "gaussian": gaussian_heatmaps}
both = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN.keys())
SIZE = (24, 30)


def point(x, y, dtype=torch.float64):
    return torch.tensor([[[x, y]]], dtype=dtype)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("where", [(11.0, 7.0), (11.3, 7.5), (0.2, 22.9), (-2.4, 12.0), (31.5, 30.0)])
@pytest.mark.parametrize(
    ("draw", "law"), [(laplace_heatmaps, stats.laplace), (gaussian_heatmaps, stats.norm)]
)
def test_pixels_hold_the_mass_of_the_density(draw, law, where, scale):
    def axis(centre, length):
        edges = np.arange(length + 1) - 0.5
        # Survival function right of the centre, where differences of the distribution function lose digits.
        below, above = law.cdf(edges, centre, scale), law.sf(edges, centre, scale)
        mass = np.where(edges[:-1] > centre, above[:-1] - above[1:], below[1:] - below[:-1])
        return mass / mass.sum()

    drawn = draw(point(*where), SIZE, scale)[0, 0].numpy()
    expected = np.outer(axis(where[1], SIZE[0]), axis(where[0], SIZE[1]))
    np.testing.assert_allclose(drawn, expected, rtol=1e-6, atol=1e-14)


@both
@settings(max_examples=60, deadline=None)
@given(x=st.floats(-1e4, 1e4), y=st.floats(-1e4, 1e4), scale=st.floats(0.05, 20))
def test_sums_to_one_wherever_the_point_is(draw, x, y, scale):
    drawn = draw(point(x, y, torch.float32), SIZE, scale)
    assert drawn.min().item() >= 0
    assert drawn.sum().item() == pytest.approx(1.0, abs=1e-5)


@both
@settings(max_examples=60, deadline=None)
@given(x=st.floats(10, 70), y=st.floats(10, 70))
def test_draw_then_decode_returns_the_point(draw, x, y):
    drawn = draw(point(x, y, torch.float32), (80, 80))
    torch.testing.assert_close(mean(drawn), point(x, y, torch.float32), rtol=0, atol=0.05)
    # As a generator would have to emit it: logits whose softmax is the drawn heatmap.
    decoded = softargmax(drawn.clamp(min=1e-30).log())
    torch.testing.assert_close(decoded, point(x, y, torch.float32), rtol=0, atol=0.05)


@pytest.mark.parametrize("offset", [0.0, 0.1, 0.25, 0.37, 0.5])
def test_unit_laplace_moments_on_the_grid(offset):
    """Beyond the pixel that holds s, pixel n has mass e^(−|n − s|) sinh ½: the series summed at s = 0."""
    drawn = laplace_heatmaps(point(40 + offset, 40 + offset), (81, 81))
    mean_BK2, deviation_BK2 = moments(drawn, 1)
    variance_BK2 = moments(drawn, 2).scale_BK2
    r = math.exp(-1.0)
    if offset == 0.0:
        assert deviation_BK2[0, 0, 0].item() == pytest.approx(2 * math.sinh(0.5) * r / (1 - r) ** 2, rel=1e-9)
        second = 2 * math.sinh(0.5) * r * (1 + r) / (1 - r) ** 3
        assert variance_BK2[0, 0, 1].item() == pytest.approx(second, rel=1e-9)
    torch.testing.assert_close(mean_BK2, point(40 + offset, 40 + offset), rtol=0, atol=0.008)
    torch.testing.assert_close(deviation_BK2, point(1.0, 1.0), rtol=0, atol=0.09)
    # Variance 2b², and 1/12 from spreading over a pixel.
    torch.testing.assert_close(variance_BK2, point(2 + 1 / 12, 2 + 1 / 12), rtol=0, atol=0.06)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 3.0])
def test_gaussian_moments_on_the_grid(sigma):
    drawn = gaussian_heatmaps(point(40.3, 39.8), (81, 81), sigma)
    expected = (sigma**2 + 1 / 12) * torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(covariance(drawn)[0, 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [2.0, 4.0])
def test_wide_laplace_approaches_its_scale(scale):
    drawn = laplace_heatmaps(point(100.2, 99.6), (200, 200), scale)
    torch.testing.assert_close(moments(drawn, 1).scale_BK2, point(scale, scale), rtol=0.02, atol=0)


@both
def test_the_peak_is_at_x_then_y(draw):
    drawn = draw(point(25.0, 3.0), SIZE)[0, 0]
    assert divmod(int(drawn.argmax()), SIZE[1]) == (3, 25)


@both
def test_masked_landmarks_draw_nothing_and_may_be_nan(draw):
    points = torch.tensor([[[5.0, 5.0], [math.nan, math.nan]], [[math.inf, 0.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, False], [False, True]])
    drawn = draw(points, SIZE, mask_BK=mask)
    assert drawn.shape == (2, 2, *SIZE)
    torch.testing.assert_close(drawn.sum((-2, -1)), mask.float())
    torch.testing.assert_close(drawn[0, 0], draw(points[:1, :1], SIZE)[0, 0])
    assert torch.equal(draw(points, SIZE, mask_BK=mask.float()), drawn)


@both
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_points_draw_in_float32(draw, dtype):
    drawn = draw(point(11.0, 7.0, dtype), SIZE)
    assert drawn.dtype == torch.float32
    torch.testing.assert_close(drawn, draw(point(11.0, 7.0, torch.float32), SIZE))
