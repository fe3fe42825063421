"""Heatmaps that are a product of one profile along x and one along y.

Shapes: points_BK2 (x, y) in cells of the grid, the centre of the top-left cell at (0, 0).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.precision import at_least_float32


def separable_heatmaps(
    points_BK2: Tensor, size: tuple[int, int], profile: Callable[[Tensor], Tensor], mask_BK: Tensor | None
) -> Tensor:
    """Draw a profile around every landmark.

    Args:
        points_BK2: landmarks, cells; may lie outside the grid. Masked ones may be anything, NaN included.
        size: (h, w) of the heatmaps.
        profile: signed distances (B, K, N) of the cells of one axis from the point → values there.
        mask_BK: True (or a weight > 0) where a landmark is known; the others get an all-zero heatmap.

    Returns:
        (B, K, h, w), at least float32.
    """
    points_BK2 = at_least_float32(points_BK2)
    if mask_BK is not None:
        mask_BK = mask_BK > 0
        points_BK2 = torch.where(mask_BK[..., None], points_BK2, 0.0)
    height, width = size
    x_BKW = profile(_distances(points_BK2[..., 0], width))
    y_BKH = profile(_distances(points_BK2[..., 1], height))
    if mask_BK is not None:
        y_BKH = y_BKH * mask_BK[..., None]
    return y_BKH[..., :, None] * x_BKW[..., None, :]


def _distances(points_BK: Tensor, length: int) -> Tensor:
    return torch.arange(length, dtype=points_BK.dtype, device=points_BK.device) - points_BK[..., None]
