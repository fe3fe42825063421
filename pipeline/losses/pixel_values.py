"""The base of losses that regress the values of pixels: heatmaps that are no distributions.

The network's output itself is the heatmap, meant to be a Gaussian of height 1 around the landmark
(:mod:`pipeline.heatmaps.unit_peak`); it is decoded at its peak, as its mean would be drawn to the centre by
the background (Yan et al., Pattern Recognition 2021, table 2: NME 3.34 against 20.15).
"""

from __future__ import annotations

from torch import Tensor

from pipeline.heatmaps import decode
from pipeline.heatmaps.average import relu_weights
from pipeline.heatmaps.peak import dark
from pipeline.heatmaps.unit_peak import unit_gaussian_heatmaps
from pipeline.losses.base import HeatmapLoss
from pipeline.precision import at_least_float32


class PixelValueLoss(HeatmapLoss):
    """Base of heatmap L2 and AWing.

    Args:
        true_scale: σ of the target, px of the heatmap grid.
    """

    def __init__(self, true_scale: float = 1.0) -> None:
        super().__init__(true_scale)

    def heatmaps(self, logits_BKHW: Tensor) -> Tensor:
        """The network's output as it is, at least float32."""
        return at_least_float32(logits_BKHW)

    def points(self, p_BKHW: Tensor) -> Tensor:
        """DARK, which is exact on a Gaussian; points_BK2 in px, without a gradient."""
        return dark(p_BKHW)

    def covariance(self, p_BKHW: Tensor) -> Tensor:
        """Second moments of the positive part, px²; background far from the peak counts, and counts much."""
        return decode.covariance(relu_weights(p_BKHW))

    def draw_true(self, target_BK2: Tensor, size: tuple[int, int], mask_BK: Tensor | None = None) -> Tensor:
        """Gaussian of height 1 and σ = ``true_scale``, (B, K, h, w)."""
        return unit_gaussian_heatmaps(target_BK2, size, self.true_scale, mask_BK)
