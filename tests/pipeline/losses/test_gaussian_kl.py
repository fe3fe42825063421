import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from pipeline.losses.gaussian_kl import LOSS, VARIANCE_FLOOR_PX2, GaussianKL, gaussian_kl

CASES = [
    (0.0, 1.0, 0.0, 1.0),
    (0.4, 0.3, 0.0, 1.0),
    (3.0, 6.0, 1.0, 1.0),
    (-2.0, 0.5, 1.5, 2.0),
    (5.0, 9.0, 5.0, 0.5),
]


def one_axis(mean, variance, target, true_scale):
    """The divergence of one axis; the other is at its optimum, where it adds nothing."""
    pair = lambda x, y: torch.tensor([[[x, y]]], dtype=torch.float64)  # noqa: E731
    return gaussian_kl(pair(mean, 0.0), pair(variance, true_scale**2), pair(target, 0.0), true_scale).item()


@pytest.mark.parametrize(("mean", "variance", "target", "true_scale"), CASES)
def test_equals_numerical_integration(mean, variance, target, true_scale):
    q, p = stats.norm(mean, variance**0.5), stats.norm(target, true_scale)
    reach = 30 * variance**0.5
    integral, _ = integrate.quad(
        lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), mean - reach, mean + reach, points=[mean], limit=200
    )
    assert one_axis(mean, variance, target, true_scale) == pytest.approx(integral, abs=1e-8)


def test_equals_torchs_own_divergence():
    rng = np.random.default_rng(0)
    mean, target = torch.tensor(rng.normal(size=(2, 3, 4, 2)) * 4)
    variance = torch.tensor(rng.uniform(0.01, 9, size=(3, 4, 2)))
    q, p = torch.distributions.Normal(mean, variance.sqrt()), torch.distributions.Normal(target, 1.7)
    torch.testing.assert_close(
        gaussian_kl(mean, variance, target, 1.7), torch.distributions.kl_divergence(q, p).sum(-1)
    )


@settings(max_examples=100, deadline=None)
@given(st.floats(-80, 80), st.floats(0, 900), st.floats(-80, 80), st.floats(0.1, 10))
def test_never_negative(mean, variance, target, true_scale):
    assert one_axis(mean, variance, target, true_scale) >= -1e-9


def test_gradcheck_of_the_pure_function():
    generator = torch.Generator().manual_seed(0)
    mean, target = torch.randn(2, 2, 3, 2, generator=generator, dtype=torch.float64)
    variance = torch.rand(2, 3, 2, generator=generator, dtype=torch.float64) + 0.1
    inputs = [tensor.requires_grad_() for tensor in (mean, variance, target)]
    assert torch.autograd.gradcheck(lambda m, v, s: gaussian_kl(m, v, s, 1.3), inputs)


@pytest.mark.parametrize("variance", [0.0, 1e-30, VARIANCE_FLOOR_PX2])
@pytest.mark.parametrize("error", [0.0, 0.5, 80.0])
def test_collapsed_heatmaps_are_finite_and_pushed_wider(variance, error):
    variance_BK2 = torch.full((1, 1, 2), variance, requires_grad=True)
    mean_BK2 = torch.full((1, 1, 2), error, requires_grad=True)
    value = gaussian_kl(mean_BK2, variance_BK2, torch.zeros(1, 1, 2))
    value.sum().backward()
    assert value.isfinite().all()
    assert mean_BK2.grad.isfinite().all()
    assert variance_BK2.grad.lt(0).all()
    assert variance_BK2.grad.abs().max().item() <= 1.01 / VARIANCE_FLOOR_PX2


def test_value_is_continuous_at_the_floor():
    below, above = (one_axis(0.3, VARIANCE_FLOOR_PX2 * f, 0.0, 1.0) for f in (1 - 1e-9, 1 + 1e-9))
    assert below == pytest.approx(above, abs=1e-7)


def test_module_reads_mean_and_variance_from_the_heatmap():
    """Two pixels of equal mass at x = 2 and x = 6 in row 3: mean (4, 3), variance (4, 0)."""
    logits = torch.full((1, 1, 8, 8), -1e4, dtype=torch.float64)
    logits[0, 0, 3, [2, 6]] = 0.0
    target = torch.tensor([[[5.0, 3.0]]], dtype=torch.float64)
    expected = gaussian_kl(
        torch.tensor([[[4.0, 3.0]]], dtype=torch.float64),
        torch.tensor([[[4.0, 0.0]]], dtype=torch.float64),
        target,
        1.5,
    )
    torch.testing.assert_close(GaussianKL(true_scale=1.5)(logits, target), expected[0, 0])


def test_found_by_name():
    assert LOSS is GaussianKL
