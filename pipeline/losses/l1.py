"""L1: sum over both axes of the absolute error.

Source: Huang et al., "ADNet", ICCV 2021, eq. 1 with n = 1; baseline of Feng et al., "Wing Loss", CVPR 2018,
and Rayhan et al., BMVC 2020. Shapes: points and target (B, K, 2), (x, y) in px.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.losses.coordinates import CoordinateLoss


def l1(points_BK2: Tensor, target_BK2: Tensor) -> Tensor:
    """|Δx| + |Δy|, distance_BK in px; its gradient at 0 is 0."""
    return (points_BK2 - target_BK2).abs().sum(-1)


class L1(CoordinateLoss):
    """Mean of |Δx| + |Δy|."""

    def per_landmark(self, points_BK2: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """(B, K), px."""
        return l1(points_BK2, target_BK2)


LOSS = L1
