"""One 2×2 covariance per landmark, in px² of the image, whatever a method predicts.

Sources: scale b of Robinson et al., ICCV 2019 (a Laplace(μ, b) has variance 2b²); Cholesky factor L of Kumar
et al., "UGLLI Face Alignment", ICCVW 2019, eq. 1 (Σ = LLᵀ) and its scalar |Σ|^{1/4}; second moments of the
heatmap itself from :func:`pipeline.heatmaps.decode.covariance`.

Shapes: covariances (B, K, 2, 2), axes in the order (x, y).
"""

from __future__ import annotations

import torch
from torch import Tensor

# A heatmap's value is the mass over the square of a pixel: even one that has collapsed onto a single pixel says
# no more than "somewhere in this square", the variance of which is 1/12 per axis.
PIXEL_VARIANCE = 1.0 / 12.0


def laplace_covariance(scale_BK2: Tensor) -> Tensor:
    """Covariance of independent Laplace(·, b) in x and y: diag(2 b²).

    Args:
        scale_BK2: b per axis, px.

    Returns:
        covariance_BK22, px².
    """
    return torch.diag_embed(2.0 * scale_BK2.square())


def cholesky_covariance(factor_BK22: Tensor) -> Tensor:
    """Σ = LLᵀ of a lower-triangular factor, px²; what lies above the diagonal is not read."""
    lower_BK22 = factor_BK22.tril()
    return lower_BK22 @ lower_BK22.mT


def cholesky_factor(covariance_BK22: Tensor, added_variance: float = PIXEL_VARIANCE) -> Tensor:
    """Lower-triangular L with LLᵀ = Σ + ``added_variance`` I, in closed form and with a finite gradient at Σ = 0.

    Args:
        covariance_BK22: positive semidefinite, px².
        added_variance: > 0, px²; the default is the variance of a pixel.

    Returns:
        factor_BK22, px.
    """
    xx = covariance_BK22[..., 0, 0] + added_variance
    xy = covariance_BK22[..., 1, 0]
    yy = covariance_BK22[..., 1, 1] + added_variance
    l_xx = xx.sqrt()
    l_yx = xy / l_xx
    # Schur complement; ≥ added_variance for every positive semidefinite Σ, rounding aside.
    l_yy = (yy - l_yx.square()).clamp(min=0.5 * added_variance).sqrt()
    return torch.stack((l_xx, torch.zeros_like(l_xx), l_yx, l_yy), dim=-1).unflatten(-1, (2, 2))


def to_image(covariance_BK22: Tensor, linear_B22: Tensor) -> Tensor:
    """Covariance after the affine map from heatmap to image, A Σ Aᵀ; its shift has no influence.

    Args:
        covariance_BK22: px² of the heatmap.
        linear_B22: (B, 2, 2) or (2, 2), linear part A of x_image = A x_heatmap + t: image px per heatmap px.

    Returns:
        covariance_BK22, px² of the image.

    Example:
        >>> to_image(torch.eye(2).view(1, 1, 2, 2), torch.diag(torch.tensor([4.0, 2.0])))[0,
        0].diagonal().tolist() [16.0, 4.0]
    """
    linear = linear_B22.to(covariance_BK22.dtype)
    if linear.dim() == 3:
        linear = linear[:, None]
    return linear @ covariance_BK22 @ linear.mT


def spread(covariance_BK22: Tensor) -> Tensor:
    """Scalar uncertainty |Σ|^{1/4}, px (UGLLI, section 5): the geometric mean of the two standard deviations."""
    determinant_BK = (
        covariance_BK22[..., 0, 0] * covariance_BK22[..., 1, 1]
        - covariance_BK22[..., 0, 1] * covariance_BK22[..., 1, 0]
    )
    return determinant_BK.clamp(min=0.0).sqrt().sqrt()
