"""L2: the squared Euclidean distance.

Source: Rayhan et al., "Not all points are created equal", BMVC 2020, eq. 1: Q₁ = Σ |x − z|². The sum over
landmarks is a mean here, as in every loss, so that learning rates don't depend on K. The distance itself, not
squared, is ``softargmax_l2.point_distance``. Shapes: points and target (B, K, 2), (x, y) in px.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.losses.coordinates import CoordinateLoss


def l2(points_BK2: Tensor, target_BK2: Tensor) -> Tensor:
    """Δx² + Δy², squares_BK in px²."""
    return (points_BK2 - target_BK2).square().sum(-1)


class L2(CoordinateLoss):
    """Eq. 1: mean of Δx² + Δy²."""

    def per_landmark(self, points_BK2: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """(B, K), px²."""
        return l2(points_BK2, target_BK2)


LOSS = L2
