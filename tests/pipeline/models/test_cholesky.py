import pytest
import torch

from pipeline.models.cholesky import FLOOR_PX, CholeskyEstimator, covariance


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


@pytest.mark.parametrize("scale", [-50.0, 0.0, 50.0])
def test_gradients_are_finite(scale):
    bottleneck = torch.full((2, 4, 2, 2), scale, requires_grad=True)
    estimator = CholeskyEstimator(16, 3)
    covariance(estimator(bottleneck)).logdet().sum().backward()
    assert bottleneck.grad.isfinite().all()


def test_half_precision_is_left_in_float32():
    estimator = CholeskyEstimator(16, 3).bfloat16()
    assert estimator(torch.rand(1, 4, 2, 2, dtype=torch.bfloat16)).dtype == torch.float32
