import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from pipeline.losses.laplace_kl import LOSS, SCALE_FLOOR_PX, LaplaceKL, laplace_kl

CASES = [
    (0.0, 1.0, 0.0, 1.0),
    (0.4, 0.3, 0.0, 1.0),
    (3.0, 2.5, 1.0, 1.0),
    (-2.0, 0.7, 1.5, 2.0),
    (5.0, 5.0, 5.0, 0.5),
]


def one_axis(mean, scale, target, true_scale):
    """The divergence of one axis; the other is at its optimum, where it adds nothing."""
    pair = lambda x, y: torch.tensor([[[x, y]]], dtype=torch.float64)  # noqa: E731
    return laplace_kl(pair(mean, 0.0), pair(scale, true_scale), pair(target, 0.0), true_scale).item()


@pytest.mark.parametrize(("mean", "scale", "target", "true_scale"), CASES)
def test_equals_numerical_integration(mean, scale, target, true_scale):
    q, p = stats.laplace(mean, scale), stats.laplace(target, true_scale)
    reach = 60 * scale
    kinks = sorted({mean, target})
    integral, _ = integrate.quad(
        lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), mean - reach, mean + reach, points=kinks, limit=200
    )
    assert one_axis(mean, scale, target, true_scale) == pytest.approx(integral, abs=1e-8)


def test_equals_an_independent_numpy_form():
    rng = np.random.default_rng(0)
    mean, target = rng.normal(size=(2, 3, 4, 2)) * 4
    scale = rng.uniform(0.01, 6, size=(3, 4, 2))
    # −entropy of q, minus the cross term E_q[−log p] = log 2b₀ + E_q|x − s|/b₀.
    b0 = 1.7
    distance = np.abs(mean - target)
    cross = np.log(2 * b0) + (distance + scale * np.exp(-distance / scale)) / b0
    reference = (cross - (1 + np.log(2 * scale))).sum(-1)
    ours = laplace_kl(torch.tensor(mean), torch.tensor(scale), torch.tensor(target), b0)
    np.testing.assert_allclose(ours.numpy(), reference, rtol=1e-12)


def test_paper_form_at_unit_scale():
    """−log b + |μ − s| + b exp(−|μ − s|/b) − 1."""
    expected = -math.log(0.5) + 2.0 + 0.5 * math.exp(-2.0 / 0.5) - 1
    assert one_axis(3.0, 0.5, 1.0, 1.0) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.floats(-80, 80), st.floats(0, 40), st.floats(-80, 80), st.floats(0.1, 10))
def test_never_negative(mean, scale, target, true_scale):
    assert one_axis(mean, scale, target, true_scale) >= -1e-12


def test_zero_only_at_the_true_distribution():
    assert one_axis(2.0, 1.0, 2.0, 1.0) == 0.0
    assert one_axis(2.0, 1.1, 2.0, 1.0) > 1e-3
    assert one_axis(2.1, 1.0, 2.0, 1.0) > 1e-3


def test_gradcheck_of_the_pure_function():
    generator = torch.Generator().manual_seed(0)
    mean, target = torch.randn(2, 2, 3, 2, generator=generator, dtype=torch.float64)
    scale = torch.rand(2, 3, 2, generator=generator, dtype=torch.float64) + 0.1
    inputs = [tensor.requires_grad_() for tensor in (mean, scale, target)]
    assert torch.autograd.gradcheck(lambda m, b, s: laplace_kl(m, b, s, 1.3), inputs)


@pytest.mark.parametrize("scale", [0.0, 1e-30, SCALE_FLOOR_PX / 2, SCALE_FLOOR_PX])
@pytest.mark.parametrize("error", [0.0, 1e-20, 0.5, 80.0])
def test_collapsed_heatmaps_are_finite_and_pushed_wider(scale, error):
    scale_BK2 = torch.full((1, 1, 2), scale, requires_grad=True)
    mean_BK2 = torch.full((1, 1, 2), error, requires_grad=True)
    value = laplace_kl(mean_BK2, scale_BK2, torch.zeros(1, 1, 2))
    value.sum().backward()
    assert value.isfinite().all()
    assert value.item() > 10
    assert mean_BK2.grad.isfinite().all()
    # A clamp would give 0 here and leave the heatmap collapsed.
    assert scale_BK2.grad.lt(0).all()
    assert scale_BK2.grad.abs().max().item() <= 1.01 / SCALE_FLOOR_PX


def test_value_is_continuous_at_the_floor():
    below, above = (one_axis(0.3, SCALE_FLOOR_PX * f, 0.0, 1.0) for f in (1 - 1e-9, 1 + 1e-9))
    assert below == pytest.approx(above, abs=1e-7)


def test_gradient_at_zero_error_is_zero_in_the_mean():
    mean_BK2 = torch.zeros(1, 1, 2, requires_grad=True)
    laplace_kl(mean_BK2, torch.ones(1, 1, 2), torch.zeros(1, 1, 2)).sum().backward()
    assert mean_BK2.grad.eq(0).all()


def test_module_reads_mean_and_scale_from_the_heatmap():
    """Two pixels of equal mass at x = 2 and x = 6 in row 3: mean (4, 3), b = (2, 0)."""
    logits = torch.full((1, 1, 8, 8), -1e4, dtype=torch.float64)
    logits[0, 0, 3, [2, 6]] = 0.0
    target = torch.tensor([[[5.0, 3.0]]], dtype=torch.float64)
    expected = laplace_kl(
        torch.tensor([[[4.0, 3.0]]], dtype=torch.float64),
        torch.tensor([[[2.0, 0.0]]], dtype=torch.float64),
        target,
        1.5,
    )
    torch.testing.assert_close(LaplaceKL(true_scale=1.5)(logits, target), expected[0, 0])


def test_found_by_name():
    assert LOSS is LaplaceKL
