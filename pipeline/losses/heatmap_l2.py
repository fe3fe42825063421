"""Heatmap L2: mean squared difference between the network's output and a Gaussian of height 1.

Source: the usual loss of heatmap regression (Newell et al., "Stacked Hourglass Networks", ECCV 2016; Sun et
al., HRNet), baseline of Yan et al., Pattern Recognition 2021. Shapes: heatmaps (B, K, h, w), values around 0
… 1. The mean is over pixels, so the value is small: about 2πσ²·½ / (h w) for an empty heatmap.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.losses.pixel_values import PixelValueLoss


def heatmap_l2(heatmaps_BKHW: Tensor, target_BKHW: Tensor) -> Tensor:
    """Mean over the pixels of (h − ĥ)², loss_BK."""
    return (heatmaps_BKHW - target_BKHW).square().mean((-2, -1))


class HeatmapL2(PixelValueLoss):
    """Mean squared error of every pixel.

    Args:
        true_scale: σ of the target, px of the heatmap grid.
    """

    def __init__(self, true_scale: float = 1.0) -> None:
        super().__init__(true_scale)

    def per_landmark(self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """(B, K)."""
        height, width = p_BKHW.shape[-2:]
        return heatmap_l2(p_BKHW, self.draw_true(target_BK2, (height, width)).to(p_BKHW.dtype))


LOSS = HeatmapL2
