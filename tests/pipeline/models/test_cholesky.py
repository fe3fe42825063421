import math

import pytest
import torch

from pipeline.losses.gaussian_log_likelihood import gaussian_log_likelihood
from pipeline.models.cholesky import FLOOR_PX, CholeskyEstimator, _positive, covariance


def estimator_of(raw_BK3):
    """One whose linear layer returns given values for a bottleneck of ones."""
    estimator = CholeskyEstimator(2 * 3 * 3, raw_BK3.shape[1])
    torch.nn.init.zeros_(estimator.linear.weight)
    with torch.no_grad():
        estimator.linear.bias.copy_(raw_BK3[0].flatten())
    return estimator(torch.ones(1, 2, 3, 3))


def test_the_elu_of_the_diagonal_by_hand():
    entries = estimator_of(torch.tensor([[[0.0, -2.0, 1.5], [-1.0, 0.7, -3.0]]]))
    expected = [[1.0, -2.0, 2.5], [0.36787944, 0.7, 0.04978707]]
    torch.testing.assert_close(entries[0], torch.tensor(expected) + torch.tensor([FLOOR_PX, 0.0, FLOOR_PX]))


def test_covariances_are_positive_definite_whatever_the_input():
    raw = 40 * torch.randn(1, 500, 3, generator=torch.Generator().manual_seed(0))
    raw[0, 0] = torch.tensor([-1e4, 0.0, -1e4])
    sigma = covariance(estimator_of(raw).double())
    assert sigma.isfinite().all()
    torch.testing.assert_close(sigma, sigma.mT)
    assert torch.linalg.cholesky_ex(sigma).info.eq(0).all()
    assert torch.linalg.det(sigma).log().isfinite().all()


def test_covariance_is_l_times_its_transpose():
    entries = torch.rand(2, 4, 3, dtype=torch.float64) + 0.1
    lower = torch.zeros(2, 4, 2, 2, dtype=torch.float64)
    lower[..., 0, 0], lower[..., 1, 0], lower[..., 1, 1] = entries.unbind(-1)
    torch.testing.assert_close(covariance(entries), lower @ lower.mT)
    torch.testing.assert_close(torch.linalg.cholesky(covariance(entries)), lower)


@pytest.mark.parametrize("scale", [-500.0, -50.0, 0.0, 50.0, 500.0])
def test_gradients_through_the_likelihood_are_finite_and_those_of_float64(scale):
    """At raw values in the thousands either way: one diagonal on its floor, the other large, or both."""
    estimator = CholeskyEstimator(16, 3)
    error = torch.tensor([[[0.3, -0.2], [4.0, 1.0], [0.0, -7.0]]])

    def gradients(dtype):
        estimator.to(dtype).zero_grad()
        bottleneck = torch.full((1, 4, 2, 2), scale, dtype=dtype, requires_grad=True)
        first, below, second = estimator(bottleneck).unbind(-1)
        rows = (first, torch.zeros_like(first), below, second)
        factor = torch.stack(rows, dim=-1).unflatten(-1, (2, 2))
        # As it trains: Σ itself is never formed, its float32 rounding is singular long before L is.
        value = gaussian_log_likelihood(torch.zeros_like(error, dtype=dtype), factor, error.to(dtype))
        value.sum().backward()
        return bottleneck.grad, estimator.linear.weight.grad.clone()

    for single, double in zip(gradients(torch.float32), gradients(torch.float64), strict=True):
        assert single.isfinite().all()
        largest = double.abs().max().item()
        torch.testing.assert_close(single.double(), double, rtol=2e-3, atol=2e-3 * largest)


@pytest.mark.parametrize("raw", [-50.0, 0.0, 50.0])
def test_gradient_of_the_covariance_by_hand(raw):
    """d Σ / d (l₁₁, l₂₁, l₂₂) for the sum of the entries, (l₁₁ + l₂₁)² + l₂₂², in float32."""
    values = torch.tensor([[[raw, 3.0, -raw]]], requires_grad=True)
    entries = torch.stack((_positive(values[..., 0]), values[..., 1], _positive(values[..., 2])), dim=-1)
    covariance(entries).sum().backward()
    first, below, second = entries.detach()[0, 0].tolist()
    slopes = [1.0 if z > 0 else math.exp(z) for z in (raw, -raw)]
    expected = [2 * (first + below) * slopes[0], 2 * (first + below), 2 * second * slopes[1]]
    torch.testing.assert_close(values.grad[0, 0], torch.tensor(expected))


def test_half_precision_is_left_in_float32():
    estimator = CholeskyEstimator(16, 3).bfloat16()
    assert estimator(torch.rand(1, 4, 2, 2, dtype=torch.bfloat16)).dtype == torch.float32
