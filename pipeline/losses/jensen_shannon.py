"""Jensen–Shannon divergence between the predicted heatmap and a Gaussian around the landmark.

Source: Nibali et al., "Numerical Coordinate Regression with Convolutional Neural Networks", 2018, section
4.3; baseline of Yan et al., Pattern Recognition 2021. With m = (p + q)/2,

    JS(p, q) = ½ KL(p ‖ m) + ½ KL(q ‖ m),   0 … ln 2 nats.

Shapes: p and q (B, K, h, w), each summing to 1. Like every divergence that compares pixel by pixel it
saturates at ln 2 once p and q don't overlap, wherever they lie.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.heatmaps.draw import gaussian_heatmaps
from pipeline.losses.base import HeatmapLoss


def jensen_shannon(p_BKHW: Tensor, q_BKHW: Tensor) -> Tensor:
    """JS of each landmark, divergence_BK in nats; finite, with finite gradients, where a pixel is 0."""
    tiny = torch.finfo(p_BKHW.dtype).tiny
    log_mean = (0.5 * (p_BKHW + q_BKHW)).clamp(min=tiny).log()
    total = p_BKHW * (p_BKHW.clamp(min=tiny).log() - log_mean)
    total = total + q_BKHW * (q_BKHW.clamp(min=tiny).log() - log_mean)
    return 0.5 * total.sum((-2, -1))


class JensenShannon(HeatmapLoss):
    """JS to Gaussian(s, σ).

    Args:
        true_scale: σ, px, of the true heatmap.
        beta: β of the spatial softmax.
    """

    def __init__(self, true_scale: float = 1.0, beta: float = 1.0) -> None:
        super().__init__(true_scale, beta)

    def per_landmark(self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Divergence of each landmark, (B, K)."""
        height, width = p_BKHW.shape[-2:]
        return jensen_shannon(p_BKHW, self.draw_true(target_BK2, (height, width)).to(p_BKHW.dtype))

    def draw_true(self, target_BK2: Tensor, size: tuple[int, int], mask_BK: Tensor | None = None) -> Tensor:
        """Gaussian(s, σ) on the pixel grid, p_BKHW."""
        return gaussian_heatmaps(target_BK2, size, self.true_scale, mask_BK)


LOSS = JensenShannon
