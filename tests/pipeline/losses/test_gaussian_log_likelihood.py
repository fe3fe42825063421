import math

import numpy as np
import pytest
import torch
from scipy import stats

from pipeline.losses.coordinates import Gaussian
from pipeline.losses.gaussian_log_likelihood import (
    DIAGONAL_FLOOR_PX,
    LOSS,
    GaussianLogLikelihood,
    gaussian_log_likelihood,
)


def sample():
    rng = np.random.default_rng(0)
    mean, target = rng.normal(size=(2, 2, 3, 2)) * 4
    factor = np.zeros((2, 3, 2, 2))
    factor[..., 0, 0], factor[..., 1, 1] = rng.uniform(0.2, 3, (2, 2, 3))
    factor[..., 1, 0] = rng.normal(size=(2, 3))
    return mean, factor, target


def test_is_twice_scipys_negative_log_likelihood_without_its_constant():
    mean, factor, target = sample()
    ours = gaussian_log_likelihood(*map(torch.tensor, (mean, factor, target))).numpy()
    for index in np.ndindex(2, 3):
        sigma = factor[index] @ factor[index].T
        log_likelihood = stats.multivariate_normal(mean[index], sigma).logpdf(target[index])
        assert ours[index] == pytest.approx(-2 * log_likelihood - 2 * math.log(2 * math.pi), rel=1e-10)


def test_identity_is_the_squared_distance():
    mean, _, target = map(torch.tensor, sample())
    eye = torch.eye(2, dtype=torch.float64).expand(2, 3, 2, 2)
    torch.testing.assert_close(gaussian_log_likelihood(mean, eye, target), (mean - target).square().sum(-1))


def test_upper_triangle_is_not_read_and_gradcheck():
    mean, factor, target = (torch.tensor(array).requires_grad_() for array in sample())
    junk = torch.zeros_like(factor)
    junk[..., 0, 1] = math.nan
    torch.testing.assert_close(
        gaussian_log_likelihood(mean, factor + junk, target), gaussian_log_likelihood(mean, factor, target)
    )
    assert torch.autograd.gradcheck(gaussian_log_likelihood, (mean, factor, target))


@pytest.mark.parametrize("diagonal", [0.0, -1.0, DIAGONAL_FLOOR_PX / 2])
def test_a_diagonal_that_is_no_scale_is_finite_and_pushed_up(diagonal):
    factor = (diagonal * torch.eye(2)).view(1, 1, 2, 2).requires_grad_()
    point = torch.zeros(1, 1, 2)
    # On the landmark the likelihood alone would shrink Σ for ever; the floor's tangent keeps that slope finite.
    value = gaussian_log_likelihood(point, factor, point)
    (gradient,) = torch.autograd.grad(value.sum(), factor)
    assert value.isfinite().all()
    assert gradient.abs().max().item() == pytest.approx(2 / DIAGONAL_FLOOR_PX)


def test_best_covariance_is_the_error_itself():
    """The maximum-likelihood scale of an error e is |e|: the gradient with respect to it vanishes there."""
    factor = torch.diag(torch.tensor([3.0, 0.5])).view(1, 1, 2, 2).requires_grad_()
    value = gaussian_log_likelihood(torch.zeros(1, 1, 2), factor, torch.tensor([[[3.0, 0.5]]]))
    (gradient,) = torch.autograd.grad(value.sum(), factor)
    torch.testing.assert_close(gradient.diagonal(dim1=-2, dim2=-1), torch.zeros(1, 1, 2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masked_landmarks_have_no_influence(dtype):
    mean, factor, target = (torch.tensor(array) for array in sample())
    mask = torch.tensor([[True, False, True], [True, True, False]])
    mean, factor = mean.to(dtype).requires_grad_(), factor.to(dtype).requires_grad_()
    loss = GaussianLogLikelihood()
    value = loss(Gaussian(mean, factor), torch.where(mask[..., None], target.float(), math.nan), mask)
    expected = gaussian_log_likelihood(mean.double(), factor.double(), target)[mask].mean()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    gradients = torch.autograd.grad(value, (mean, factor))
    for gradient in gradients:
        assert gradient.isfinite().all()
        assert gradient[~mask].eq(0).all()


def test_found_by_name():
    assert LOSS is GaussianLogLikelihood
    assert LOSS.needs == "covariance"
