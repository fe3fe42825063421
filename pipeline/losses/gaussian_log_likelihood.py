"""Gaussian log-likelihood: points with a covariance of their own, as a Cholesky factor.

Source: Kumar et al., "UGLLI Face Alignment: Estimating Uncertainty with Gaussian Log-Likelihood Loss", ICCVW
2019, eq. 2, for Σ = LLᵀ:

    log |Σ| + (p − μ)ᵀ Σ⁻¹ (p − μ),

twice the negative log-likelihood of eq. 1 without its constant 2 log 2π. Eq. 3's weighted sum over U-nets is
the caller's. Shapes: μ and p (B, K, 2), (x, y) in px; L (B, K, 2, 2), px.

Deviation: below ``DIAGONAL_FLOOR_PX`` the diagonal of L is floored in the distance, and in the logarithm goes
on as its tangent, so a network that puts out a zero or negative diagonal gets a finite loss and a gradient
that widens it. Above it the value is exact.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.losses.coordinates import CovarianceLoss, Gaussian

DIAGONAL_FLOOR_PX = 1e-3


def gaussian_log_likelihood(mean_BK2: Tensor, factor_BK22: Tensor, target_BK2: Tensor) -> Tensor:
    """Eq. 2 for each landmark.

    Args:
        mean_BK2: μ, px.
        factor_BK22: lower-triangular L, px; what lies above the diagonal is not read.
        target_BK2: p, px.

    Returns:
        loss_BK; negative for a small |Σ|.
    """
    diagonal_BK2 = factor_BK22.diagonal(dim1=-2, dim2=-1)
    floored_BK2 = diagonal_BK2.clamp(min=DIAGONAL_FLOOR_PX)
    log_BK2 = floored_BK2.log() + (diagonal_BK2 - floored_BK2) / DIAGONAL_FLOOR_PX
    # z = L⁻¹ (p − μ) by forward substitution: |z|² is the squared Mahalanobis distance; Σ is never inverted.
    error_BK2 = target_BK2 - mean_BK2
    z_x = error_BK2[..., 0] / floored_BK2[..., 0]
    z_y = (error_BK2[..., 1] - factor_BK22[..., 1, 0] * z_x) / floored_BK2[..., 1]
    return 2 * log_BK2.sum(-1) + z_x.square() + z_y.square()


class GaussianLogLikelihood(CovarianceLoss):
    """Eq. 2."""

    def per_landmark(self, predicted: Gaussian, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """(B, K), nats up to a constant."""
        return gaussian_log_likelihood(predicted.points_BK2, predicted.factor_BK22, target_BK2)


LOSS = GaussianLogLikelihood
