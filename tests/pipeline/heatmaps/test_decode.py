import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.heatmaps import decode


def random_probabilities(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(*shape, generator=generator, dtype=dtype)
    return decode.spatial_softmax(logits)


def expectation(p, function):
    """E f(x, y) by the double loop of the definition, p of shape (h, w)."""
    total = 0.0
    for y in range(p.shape[0]):
        for x in range(p.shape[1]):
            total += p[y, x] * function(x, y)
    return total


def each_heatmap(p_BKHW):
    for b in range(p_BKHW.shape[0]):
        for k in range(p_BKHW.shape[1]):
            yield (b, k), p_BKHW[b, k].numpy()


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_softargmax_is_the_expected_pixel_of_eq_2(beta):
    logits = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    points = decode.softargmax(logits, beta)
    assert points.shape == (2, 3, 2)
    for (b, k), h in each_heatmap(logits):
        weights = np.exp(beta * h)
        p = weights / weights.sum()
        assert points[b, k, 0].item() == pytest.approx(expectation(p, lambda x, y: x), rel=1e-12)
        assert points[b, k, 1].item() == pytest.approx(expectation(p, lambda x, y: y), rel=1e-12)


def test_moments_tau_scatter_and_covariance_by_double_loop():
    p_BKHW = random_probabilities(2, 3, 6, 4)
    first, second = decode.moments(p_BKHW, 1), decode.moments(p_BKHW, 2)
    covariance, scatter = decode.covariance(p_BKHW), decode.scatter(p_BKHW)
    for index, p in each_heatmap(p_BKHW):
        mx, my = expectation(p, lambda x, y: x), expectation(p, lambda x, y: y)
        reference = {
            "mean": [mx, my],
            "deviation": [
                expectation(p, lambda x, y, mx=mx: abs(x - mx)),
                expectation(p, lambda x, y, my=my: abs(y - my)),
            ],
            "variance": [
                expectation(p, lambda x, y, mx=mx: (x - mx) ** 2),
                expectation(p, lambda x, y, my=my: (y - my) ** 2),
            ],
        }
        cross = expectation(p, lambda x, y, mx=mx, my=my: (x - mx) * (y - my))
        radius = expectation(p, lambda x, y, mx=mx, my=my: np.hypot(x - mx, y - my))
        np.testing.assert_allclose(first.mean_BK2[index], reference["mean"], rtol=1e-12)
        np.testing.assert_allclose(second.mean_BK2[index], reference["mean"], rtol=1e-12)
        np.testing.assert_allclose(first.scale_BK2[index], reference["deviation"], rtol=1e-12)
        np.testing.assert_allclose(second.scale_BK2[index], reference["variance"], rtol=1e-12)
        np.testing.assert_allclose(decode.tau(p_BKHW, 1)[index], sum(reference["deviation"]), rtol=1e-12)
        np.testing.assert_allclose(decode.tau(p_BKHW, 2)[index], sum(reference["variance"]), rtol=1e-12)
        vx, vy = reference["variance"]
        np.testing.assert_allclose(covariance[index], [[vx, cross], [cross, vy]], rtol=1e-10)
        assert scatter[index].item() == pytest.approx(radius, rel=1e-12)


def test_spatial_softmax_sums_to_one_and_survives_large_logits():
    logits = torch.tensor([-1e4, 0.0, 1e4]).repeat(1, 1, 3, 1)
    p = decode.spatial_softmax(logits)
    torch.testing.assert_close(p.sum((-2, -1)), torch.ones(1, 1))
    assert p.isfinite().all()


@settings(max_examples=40, deadline=None)
@given(st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 2**31))
def test_softargmax_moves_with_the_heatmap(dx, dy, seed):
    """Whole pixels, with nothing cut off: the point moves along and the spread stays."""
    p = torch.zeros(1, 1, 16, 18, dtype=torch.float64)
    p[..., 5:11, 5:13] = torch.rand(6, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    logits = (p / p.sum()).log().clamp(min=-800)
    moved = torch.roll(logits, (dy, dx), (-2, -1))
    shift = torch.tensor([dx, dy], dtype=torch.float64)
    torch.testing.assert_close(decode.softargmax(moved), decode.softargmax(logits) + shift)
    before, after = decode.spatial_softmax(logits), decode.spatial_softmax(moved)
    for order in (1, 2):
        torch.testing.assert_close(decode.moments(after, order)[1], decode.moments(before, order)[1])
    torch.testing.assert_close(decode.covariance(after), decode.covariance(before))
    torch.testing.assert_close(decode.scatter(after), decode.scatter(before))


@settings(max_examples=25, deadline=None)
@given(st.floats(-50, 50), st.integers(0, 2**31))
def test_a_constant_added_to_the_logits_changes_nothing(constant, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 2, 4, 5, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(decode.softargmax(logits + constant), decode.softargmax(logits))


def test_coordinates_are_x_then_y():
    logits = torch.full((1, 1, 6, 9), -100.0)
    logits[0, 0, 2, 7] = 100.0
    assert decode.softargmax(logits).tolist() == [[[7.0, 2.0]]]


def test_a_collapsed_heatmap_has_no_spread():
    p = torch.zeros(1, 1, 6, 9)
    p[0, 0, 2, 7] = 1.0
    for measure in (decode.tau(p, 1), decode.tau(p, 2), decode.scatter(p), decode.covariance(p)):
        assert measure.eq(0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_accumulated_in_float32(dtype):
    """Against float64 on the same rounded input: a bfloat16 sum of 6400 pixels has two digits."""
    logits = torch.randn(2, 3, 80, 80, generator=torch.Generator().manual_seed(0)).to(dtype)
    points = decode.softargmax(logits)
    assert points.dtype == torch.float32
    torch.testing.assert_close(points.double(), decode.softargmax(logits.double()), rtol=1e-5, atol=1e-4)
    p = decode.spatial_softmax(logits.double())
    rounded = p.to(dtype)
    for order in (1, 2):
        got, want = decode.moments(rounded, order), decode.moments(rounded.double(), order)
        assert got.scale_BK2.dtype == torch.float32
        torch.testing.assert_close(got.scale_BK2.double(), want.scale_BK2, rtol=1e-4, atol=1e-4)
    covariance = decode.covariance(rounded)
    torch.testing.assert_close(covariance.double(), decode.covariance(rounded.double()), rtol=1e-3, atol=2e-2)


def test_memory_layout_does_not_matter():
    logits = torch.randn(2, 4, 5, 6)
    innermost = logits.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(decode.softargmax(innermost), decode.softargmax(logits))


@pytest.mark.parametrize("order", [1, 2])
def test_gradients(order):
    logits = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: decode.moments(decode.spatial_softmax(z, 1.5), order), logits)
    assert torch.autograd.gradcheck(lambda z: decode.covariance(decode.spatial_softmax(z)), logits)


def test_scatter_of_an_empty_batch():
    assert decode.scatter(torch.zeros(0, 5, 4, 4)).shape == (0, 5)
