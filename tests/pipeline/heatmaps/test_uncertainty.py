import numpy as np
import pytest
import torch

from pipeline.heatmaps.decode import covariance
from pipeline.heatmaps.draw import gaussian_heatmaps, laplace_heatmaps
from pipeline.heatmaps.uncertainty import (
    PIXEL_VARIANCE,
    cholesky_covariance,
    cholesky_factor,
    laplace_covariance,
    spread,
    to_image,
)
from pipeline.losses.laplace_kl import LaplaceKL


def random_covariances(count, seed=0):
    a = np.random.default_rng(seed).normal(size=(1, count, 2, 2))
    return a @ a.swapaxes(-1, -2)


def test_cholesky_there_and_back_by_numpy():
    sigma = random_covariances(20)
    factor = cholesky_factor(torch.tensor(sigma), 0.3)
    np.testing.assert_allclose(factor, np.linalg.cholesky(sigma + 0.3 * np.eye(2)), rtol=1e-10)
    np.testing.assert_allclose(cholesky_covariance(factor), sigma + 0.3 * np.eye(2), rtol=1e-10)
    junk = factor.clone()
    junk[..., 0, 1] = 7.0
    torch.testing.assert_close(cholesky_covariance(junk), cholesky_covariance(factor))


def test_a_collapsed_heatmap_has_the_uncertainty_of_a_pixel_and_a_finite_gradient():
    sigma = torch.zeros(1, 1, 2, 2, requires_grad=True)
    factor = cholesky_factor(sigma)
    factor.sum().backward()
    torch.testing.assert_close(cholesky_covariance(factor)[0, 0], PIXEL_VARIANCE * torch.eye(2))
    assert sigma.grad.isfinite().all()
    square = np.random.default_rng(0).uniform(-0.5, 0.5, 200_000)
    assert square.var() == pytest.approx(PIXEL_VARIANCE, rel=0.01)


def test_gradcheck_of_the_factor():
    sigma = torch.tensor(random_covariances(3)).requires_grad_()
    assert torch.autograd.gradcheck(cholesky_factor, sigma)


def test_covariance_in_image_pixels_is_that_of_the_mapped_points():
    rng = np.random.default_rng(1)
    samples = rng.normal(size=(500, 2)) @ np.array([[1.0, 0.4], [0.0, 0.5]])
    linear = rng.normal(size=(2, 2)) * 4
    mapped = samples @ linear.T + 17.0
    found = to_image(torch.tensor(np.cov(samples.T)).view(1, 1, 2, 2), torch.tensor(linear))
    np.testing.assert_allclose(found[0, 0], np.cov(mapped.T), rtol=1e-10)
    per_sample = to_image(torch.eye(2).expand(2, 3, 2, 2), torch.stack((torch.eye(2), 4 * torch.eye(2))))
    assert per_sample[:, :, 0, 0].tolist() == [[1.0] * 3, [16.0] * 3]


def test_laplace_scale_as_a_covariance_is_that_of_its_heatmap():
    """A Laplace(s, b) heatmap's second moments, and 2b² from its first: the same, pixels' own width aside."""
    p = laplace_heatmaps(torch.tensor([[[40.0, 41.3]]], dtype=torch.float64), (81, 81), 3.0)
    loss = LaplaceKL()
    np.testing.assert_allclose(loss.covariance(p)[0, 0], covariance(p)[0, 0], rtol=0.02, atol=1e-9)
    torch.testing.assert_close(
        laplace_covariance(torch.tensor([[[1.0, 3.0]]]))[0, 0], torch.diag(torch.tensor([2.0, 18.0]))
    )


def test_spread_is_the_geometric_mean_of_the_deviations():
    p = gaussian_heatmaps(torch.tensor([[[20.0, 20.0]]], dtype=torch.float64), (41, 41), 2.0)
    expected = (4.0 + PIXEL_VARIANCE) ** 0.5  # drawn as the mass over each pixel's square
    assert spread(covariance(p)).item() == pytest.approx(expected, rel=1e-6)
    assert spread(torch.diag(torch.tensor([4.0, 9.0]))[None, None]).item() == pytest.approx(6.0**0.5)
