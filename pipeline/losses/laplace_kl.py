"""LaplaceKL: match the location and the spread of a heatmap to a Laplace distribution around the landmark.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, eq. 3 and section 3.1. With q =
Laplace(μ, b) read from the heatmap and p = Laplace(s, b₀) true, per axis,

    KL(q ‖ p) = log(b₀/b) + |μ − s|/b₀ + (b/b₀) exp(−|μ − s|/b) − 1,

summed over the two independent axes. Shapes: mean, scale and target (B, K, 2), (x, y) in px.

Deviations:

- τ(h) of the paper sums both axes into one number; here each axis has its own b, as the two coordinates are
  independent variables and an eyelid's heatmap is wide along the lid and narrow across it.
- Below ``SCALE_FLOOR_PX`` the logarithm goes on as its tangent. A heatmap that has collapsed onto one pixel
  has b = 0: log b would be infinite, and a clamp would leave no gradient to widen it. Above the floor the
  value is the exact KL divergence.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.heatmaps.decode import moments
from pipeline.heatmaps.draw import laplace_heatmaps
from pipeline.heatmaps.uncertainty import laplace_covariance
from pipeline.losses.base import HeatmapLoss

SCALE_FLOOR_PX = 1e-3


def laplace_kl(mean_BK2: Tensor, scale_BK2: Tensor, target_BK2: Tensor, true_scale: float = 1.0) -> Tensor:
    """KL(Laplace(mean, scale) ‖ Laplace(target, true_scale)), summed over x and y.

    Args:
        mean_BK2: μ, px.
        scale_BK2: b per axis, px, ≥ 0.
        target_BK2: s, px.
        true_scale: b₀, px.

    Returns: divergence_BK, nats; ≥ 0, and 0 only for equal distributions. Finite, with finite gradients, at b
    = 0 and μ = s.

    Example:
        >>> laplace_kl(torch.zeros(1, 1, 2), torch.ones(1, 1, 2), torch.zeros(1, 1, 2)).item()
        0.0
    """
    error_BK2 = (mean_BK2 - target_BK2).abs()
    floored_BK2 = scale_BK2.clamp(min=SCALE_FLOOR_PX)
    log_scale_BK2 = (floored_BK2 / true_scale).log() + (scale_BK2 - floored_BK2) / SCALE_FLOOR_PX
    overlap_BK2 = floored_BK2 * torch.exp(-error_BK2 / floored_BK2)
    return ((error_BK2 + overlap_BK2) / true_scale - log_scale_BK2 - 1.0).sum(-1)


class LaplaceKL(HeatmapLoss):
    """Eq. 3 with the Laplace distribution.

    Args:
        true_scale: b₀, px, of the true distribution and of the heatmaps drawn for the discriminator (figure 4
            sweeps it).
        beta: β of the spatial softmax.
    """

    def __init__(self, true_scale: float = 1.0, beta: float = 1.0) -> None:
        super().__init__(true_scale, beta)

    def per_landmark(self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Divergence of each landmark, (B, K)."""
        mean_BK2, scale_BK2 = moments(p_BKHW, order=1)
        return laplace_kl(mean_BK2, scale_BK2, target_BK2, self.true_scale)

    def covariance(self, p_BKHW: Tensor) -> Tensor:
        """Covariance of the Laplace distribution read from the heatmap, diag(2b²), px²."""
        return laplace_covariance(moments(p_BKHW, order=1).scale_BK2)

    def draw_true(self, target_BK2: Tensor, size: tuple[int, int], mask_BK: Tensor | None = None) -> Tensor:
        """Laplace(s, b₀) on the pixel grid, p_BKHW."""
        return laplace_heatmaps(target_BK2, size, self.true_scale, mask_BK)


LOSS = LaplaceKL
