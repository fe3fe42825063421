"""Target heatmaps for losses on the values of pixels: a Gaussian of height 1, as heatmap L2 and AWing regress.

Sources: Wang et al., "Adaptive Wing Loss", ICCV 2019, section 3; Yan et al., Pattern Recognition 2021,
section 5.2.

Shapes: points_BK2 (x, y) in px; heatmaps_BKHW in 0 … 1, sampled at the pixels' centres, so the height is
exactly 1 only where the point is a pixel's centre. They are no distributions:
:func:`pipeline.heatmaps.draw.gaussian_heatmaps` draws those.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.precision import at_least_float32


def unit_gaussian_heatmaps(
    points_BK2: Tensor, size: tuple[int, int], sigma: float = 1.0, mask_BK: Tensor | None = None
) -> Tensor:
    """exp(−‖x − s‖² / 2σ²) at every pixel.

    Args:
        points_BK2: landmarks, px; may lie outside the grid. Masked ones may be anything, NaN included.
        size: (h, w) of the heatmaps.
        sigma: σ, px.
        mask_BK: True where a landmark is known; the others get an all-zero heatmap.

    Returns:
        heatmaps_BKHW, at least float32.

    Example:
        >>> unit_gaussian_heatmaps(torch.tensor([[[2.0, 1.0]]]), (3, 5))[0, 0, 1].argmax().item()
        2
    """
    points_BK2 = at_least_float32(points_BK2)
    if mask_BK is not None:
        points_BK2 = torch.where(mask_BK.bool()[..., None], points_BK2, 0.0)
    height, width = size
    x_BKW, y_BKH = (
        torch.exp(
            -0.5
            * (
                (
                    torch.arange(length, dtype=points_BK2.dtype, device=points_BK2.device)
                    - points_BK2[..., axis, None]
                )
                / sigma
            ).square()
        )
        for axis, length in ((0, width), (1, height))
    )
    if mask_BK is not None:
        y_BKH = y_BKH * mask_BK.bool()[..., None]
    return y_BKH[..., :, None] * x_BKW[..., None, :]
