"""Cholesky Estimator Network: a covariance per landmark from the bottleneck of a U-net.

Source: Kumar et al., "UGLLI Face Alignment", ICCVW 2019, section 3.2.

Shapes: bottleneck (B, C, s, s) (128 × 4 × 4 in the paper) → (B, K, 3), the entries l₁₁, l₂₁, l₂₂ of the lower-triangular L
with Σ = L Lᵀ, px, axes (x, y).

The paper adds "a constant" to the ELU of the diagonal; here 1 + ``FLOOR_PX``. With 1 alone the diagonal is positive
in exact arithmetic only: it rounds to 0 below −17, where log|Σ| is infinite.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.precision import at_least_float32

FLOOR_PX = 1e-3
"""Smallest diagonal entry of L, heatmap cells."""


class CholeskyEstimator(nn.Module):
    """One linear layer, to be shared by all U-nets.

    Args:
        features: C · s · s.
        num_landmarks: K.

    Example:
        >>> CholeskyEstimator(128 * 4 * 4, 68)(torch.rand(2, 128, 4, 4)).shape
        torch.Size([2, 68, 3])
    """

    def __init__(self, features: int, num_landmarks: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 3 * num_landmarks)

    def forward(self, bottleneck_BCHW: Tensor) -> Tensor:
        """Entries of L, (B, K, 3), in heatmap cells, at least float32."""
        raw_BK3 = self.linear(bottleneck_BCHW.flatten(1)).unflatten(-1, (-1, 3))
        raw_BK3 = at_least_float32(raw_BK3)
        first, below, second = raw_BK3.unbind(-1)
        return torch.stack((_positive(first), below, _positive(second)), dim=-1)


def covariance(cholesky_BK3: Tensor) -> Tensor:
    """Σ = L Lᵀ, (B, K, 2, 2), from the entries l₁₁, l₂₁, l₂₂.

    Example:
        >>> covariance(torch.tensor([[[2.0, 1.0, 3.0]]])).tolist()
        [[[[4.0, 2.0], [2.0, 10.0]]]]
    """
    first, below, second = cholesky_BK3.unbind(-1)
    xy = first * below
    entries = (first.square(), xy, xy, below.square() + second.square())
    return torch.stack(entries, dim=-1).unflatten(-1, (2, 2))


def _positive(raw: Tensor) -> Tensor:
    return F.elu(raw) + (1.0 + FLOOR_PX)
