"""Adaptive Wing: near the landmark it bends like Wing, on the background like L2.

Source: Wang et al., "Adaptive Wing Loss for Robust Face Alignment via Heatmap Regression", ICCV 2019, eqs.
3–5; Huang et al., "ADNet", ICCV 2021, eq. 8. With y true and ŷ predicted,

    ω ln(1 + |(y − ŷ)/ε|^{α−y})  for |y − ŷ| < θ,   A |y − ŷ| − C  otherwise,

    A = ω (α − y) (θ/ε)^{α−y−1} / (ε (1 + (θ/ε)^{α−y})),   C = θ A − ω ln(1 + (θ/ε)^{α−y}),

ω = 14, θ = 0.5, ε = 1, α = 2.1. Shapes: heatmaps (B, K, h, w), true ones in 0 … 1, which makes α − y > 1:
value and slope join at θ, and the gradient at zero error is 0.

``foreground`` is the paper's weighted loss map (eqs. 6–7): pixels where the target, dilated by 3 × 3, is at
least 0.2 weigh 1 + ``foreground``. It takes 10; ADNet's eq. 8 has none, so the default is 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.losses.pixel_values import PixelValueLoss


def awing(
    heatmaps: Tensor,
    target: Tensor,
    omega: float = 14.0,
    theta: float = 0.5,
    epsilon: float = 1.0,
    alpha: float = 2.1,
) -> Tensor:
    """AWing of each pixel.

    Args:
        heatmaps: ŷ, any shape.
        target: y, in 0 … 1, the same shape.
        omega: ω, height of the curve.
        theta: θ, where the line begins.
        epsilon: ε, how far the logarithm bends.
        alpha: α > 2, so that background bends like L2 and the exponent stays above 1.

    Returns:
        loss, of the same shape.
    """
    error = (target - heatmaps).abs()
    exponent = alpha - target
    ratio = (theta / epsilon) ** exponent
    slope = omega * exponent * ratio / (theta * (1 + ratio))
    offset = theta * slope - omega * torch.log1p(ratio)
    # Each branch sees only its own errors: a power of a large one could overflow in the branch not taken.
    near = omega * torch.log1p((error.clamp(max=theta) / epsilon) ** exponent)
    return torch.where(error < theta, near, slope * error - offset)


def foreground_map(target_BKHW: Tensor, weight: float = 10.0) -> Tensor:
    """Weighted loss map: 1 + ``weight`` where the 3 × 3 dilation of the target reaches 0.2, 1 elsewhere."""
    return 1.0 + weight * (F.max_pool2d(target_BKHW, 3, stride=1, padding=1) >= 0.2)


class AWing(PixelValueLoss):
    """AWing of every pixel of unit-height Gaussian heatmaps.

    Args:
        omega: ω.
        theta: θ.
        epsilon: ε.
        alpha: α > 2.
        foreground: W ≥ 0 of the weighted loss map; 0 is none, the paper of AWing takes 10.
        true_scale: σ of the target, px of the heatmap grid (ADNet: 1.5).

    Raises:
        ConfigError: a value outside these bounds.
    """

    def __init__(
        self,
        omega: float = 14.0,
        theta: float = 0.5,
        epsilon: float = 1.0,
        alpha: float = 2.1,
        foreground: float = 0.0,
        true_scale: float = 1.5,
    ) -> None:
        super().__init__(true_scale)
        for name, value, least, strict in (
            ("omega", omega, 0.0, True),
            ("theta", theta, 0.0, True),
            ("epsilon", epsilon, 0.0, True),
            ("alpha", alpha, 2.0, True),
            ("foreground", foreground, 0.0, False),
        ):
            if not (math.isfinite(value) and (value > least or (value == least and not strict))):
                bound = "greater than" if strict else "at least"
                raise ConfigError(f"AWing: {name} is {value}; it must be {bound} {least:g}")
        self.omega = omega
        self.theta = theta
        self.epsilon = epsilon
        self.alpha = alpha
        self.foreground = foreground

    def per_landmark(self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Mean over the pixels, (B, K)."""
        height, width = p_BKHW.shape[-2:]
        target_BKHW = self.draw_true(target_BK2, (height, width)).to(p_BKHW.dtype)
        loss_BKHW = awing(p_BKHW, target_BKHW, self.omega, self.theta, self.epsilon, self.alpha)
        if self.foreground:
            loss_BKHW = loss_BKHW * foreground_map(target_BKHW, self.foreground)
        return loss_BKHW.mean((-2, -1))


LOSS = AWing
