"""Wing: a logarithm that amplifies small and medium errors, a line for large ones.

Source: Feng et al., "Wing Loss for Robust Facial Landmark Localisation", CVPR 2018, eq. 5:

    ω ln(1 + |x|/ε)  for |x| < ω,   |x| − C  otherwise,   C = ω − ω ln(1 + ω/ε),

per axis and summed over both. Shapes: points and target (B, K, 2), (x, y) in px. The paper's ω = 10 and ε = 2
are px of its networks' input; the slope at 0 is ω/ε = 5, and jumps there: at zero error the gradient is 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.losses.coordinates import CoordinateLoss


def wing(points_BK2: Tensor, target_BK2: Tensor, omega: float = 10.0, epsilon: float = 2.0) -> Tensor:
    """Summed over x and y, loss_BK in px.

    Args:
        points_BK2: predicted, px.
        target_BK2: px.
        omega: ω, px, where the line begins.
        epsilon: ε, px, how far the logarithm bends.
    """
    error = (points_BK2 - target_BK2).abs()
    offset = omega - omega * math.log1p(omega / epsilon)
    return torch.where(error < omega, omega * torch.log1p(error / epsilon), error - offset).sum(-1)


class Wing(CoordinateLoss):
    """Eq. 5.

    Args:
        omega: ω, px.
        epsilon: ε, px.

    Raises:
        ConfigError: ω or ε is not a positive number.
    """

    def __init__(self, omega: float = 10.0, epsilon: float = 2.0) -> None:
        super().__init__()
        for name, value in (("omega", omega), ("epsilon", epsilon)):
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"Wing: {name} is {value}; it must be a positive number of px")
        self.omega = omega
        self.epsilon = epsilon

    def per_landmark(self, points_BK2: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """(B, K), px."""
        return wing(points_BK2, target_BK2, self.omega, self.epsilon)


LOSS = Wing
