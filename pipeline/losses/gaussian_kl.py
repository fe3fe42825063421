"""GaussianKL: match the location and the variance of a heatmap to a Gaussian around the landmark.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, eq. 3 and section 3.1. With q = N(μ, v)
read from the heatmap and p = N(s, σ₀²) true, per axis,

    KL(q ‖ p) = ½ [log(σ₀²/v) + v/σ₀² + (μ − s)²/σ₀² − 1],

summed over the two independent axes. Shapes: mean, variance and target (B, K, 2), (x, y) in px and px².

Deviations: one variance per axis, and below ``VARIANCE_FLOOR_PX2`` the logarithm goes on as its tangent, both
for the reasons given in :mod:`pipeline.losses.laplace_kl`. The paper found this loss to need a learning rate
ten times smaller.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.heatmaps.decode import moments
from pipeline.heatmaps.draw import gaussian_heatmaps
from pipeline.losses.base import HeatmapLoss

VARIANCE_FLOOR_PX2 = 1e-3


def gaussian_kl(
    mean_BK2: Tensor, variance_BK2: Tensor, target_BK2: Tensor, true_scale: float = 1.0
) -> Tensor:
    """KL(N(mean, variance) ‖ N(target, true_scale²)), summed over x and y.

    Args:
        mean_BK2: μ, px.
        variance_BK2: v per axis, px², ≥ 0.
        target_BK2: s, px.
        true_scale: σ₀, px.

    Returns:
        divergence_BK, nats; ≥ 0, and 0 only for equal distributions. Finite, with finite gradients, at v = 0.
    """
    true_variance = true_scale**2
    floored_BK2 = variance_BK2.clamp(min=VARIANCE_FLOOR_PX2)
    log_variance_BK2 = (floored_BK2 / true_variance).log() + (variance_BK2 - floored_BK2) / VARIANCE_FLOOR_PX2
    squares_BK2 = (floored_BK2 + (mean_BK2 - target_BK2).square()) / true_variance
    return 0.5 * (squares_BK2 - log_variance_BK2 - 1.0).sum(-1)


class GaussianKL(HeatmapLoss):
    """Eq. 3 with the Gaussian distribution.

    Args:
        true_scale: σ₀, px, of the true distribution and of the heatmaps drawn for the discriminator.
        beta: β of the spatial softmax.
    """

    def __init__(self, true_scale: float = 1.0, beta: float = 1.0) -> None:
        super().__init__(true_scale, beta)

    def per_landmark(self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Divergence of each landmark, (B, K)."""
        mean_BK2, variance_BK2 = moments(p_BKHW, order=2)
        return gaussian_kl(mean_BK2, variance_BK2, target_BK2, self.true_scale)

    def draw_true(self, target_BK2: Tensor, size: tuple[int, int], mask_BK: Tensor | None = None) -> Tensor:
        """Gaussian(s, σ₀) on the pixel grid, p_BKHW."""
        return gaussian_heatmaps(target_BK2, size, self.true_scale, mask_BK)


LOSS = GaussianKL
