"""Smooth L1: a parabola for small errors, a line for large ones.

Source: Girshick, "Fast R-CNN", ICCV 2015, eq. 3; Huang et al., "ADNet", ICCV 2021, eq. 2 (threshold 1 px):

    ½ x² / δ  for |x| < δ,   |x| − ½ δ  otherwise,

per axis and summed over both. Shapes: points and target (B, K, 2), (x, y) in px.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.losses.coordinates import CoordinateLoss


def smooth_l1(points_BK2: Tensor, target_BK2: Tensor, threshold: float = 1.0) -> Tensor:
    """Summed over x and y, loss_BK in px.

    Args:
        points_BK2: predicted, px.
        target_BK2: px.
        threshold: δ, px.
    """
    return F.smooth_l1_loss(points_BK2, target_BK2, reduction="none", beta=threshold).sum(-1)


class SmoothL1(CoordinateLoss):
    """Mean of the smooth L1 of both axes.

    Args:
        threshold: δ, px.

    Raises:
        ConfigError: δ is not a positive number.
    """

    def __init__(self, threshold: float = 1.0) -> None:
        super().__init__()
        if not (math.isfinite(threshold) and threshold > 0.0):
            raise ConfigError(f"SmoothL1: threshold is {threshold}; it must be a positive number of px")
        self.threshold = threshold

    def per_landmark(self, points_BK2: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """(B, K), px."""
        return smooth_l1(points_BK2, target_BK2, self.threshold)


LOSS = SmoothL1
