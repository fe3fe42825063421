"""SoftargmaxL2: the distance of the expected pixel from the landmark, whatever the spread.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, eqs. 1 and 2: the paper's baseline, L_SAM
= E ‖s̃ − s‖₂.
Shapes: points (B, K, 2), (x, y) in px.

The loss holds no distribution for true, so ω(s) for the discriminator is a choice: Laplace(s,
``true_scale``), with the same default of 1 px as LaplaceKL, so that "softargmax + D" and "LaplaceKL + D"
differ in nothing but the loss (table 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.heatmaps.decode import mean
from pipeline.heatmaps.draw import laplace_heatmaps
from pipeline.losses.base import HeatmapLoss


def point_distance(points_BK2: Tensor, target_BK2: Tensor) -> Tensor:
    """Euclidean distance per landmark, distance_BK in px; its gradient at distance 0 is 0, not NaN."""
    return torch.linalg.vector_norm(points_BK2 - target_BK2, dim=-1)


class SoftargmaxL2(HeatmapLoss):
    """Eq. 1 on the softargmax of eq. 2.

    Args:
        beta: β of the spatial softmax.
        true_scale: b, px, of the heatmaps drawn for the discriminator; the loss itself does not use it.
    """

    def __init__(self, beta: float = 1.0, true_scale: float = 1.0) -> None:
        super().__init__(true_scale, beta)

    def per_landmark(self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Distance of each landmark, (B, K) px."""
        return point_distance(mean(p_BKHW), target_BK2)

    def draw_true(self, target_BK2: Tensor, size: tuple[int, int], mask_BK: Tensor | None = None) -> Tensor:
        """Laplace(s, ``true_scale``) on the pixel grid, p_BKHW."""
        return laplace_heatmaps(target_BK2, size, self.true_scale, mask_BK)


LOSS = SoftargmaxL2
