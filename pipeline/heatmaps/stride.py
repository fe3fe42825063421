"""The grid of a heatmap on the input: the cells' places.

A heatmap of stride s has 1/s of the input's height and width. **Cell j covers the input pixels s·j … s·j + s − 1**;
its centre lies at s·j + (s − 1)/2 in pixel-centre coordinates, where pixel i covers [i − ½, i + ½). So

    x_input = s (x_cell + ½) − ½,        x_cell = (x_input + ½) / s − ½.

Stride 1 is the identity. The convention is that of ``F.interpolate(…, align_corners=False)`` and, unlike
x_input = s·x_cell, it commutes with mirroring: cell w − 1 − j covers the mirror image of the pixels of cell j,
so that averaging over flips adds no bias of (s − 1)/2 px.
"""

from __future__ import annotations

from torch import Tensor


def to_cells(points_BK2: Tensor, stride: int) -> Tensor:
    """Input pixels → heatmap cells.

    Args:
        points_BK2: landmarks, input px.
        stride: s.

    Returns:
        points_BK2, in cells of the heatmap.

    Example:
        >>> import torch
        >>> to_cells(torch.tensor([1.5, 5.5]), 4).tolist()
        [0.0, 1.0]
    """
    return points_BK2 if stride == 1 else (points_BK2 + 0.5) / stride - 0.5


def to_pixels(points_BK2: Tensor, stride: int) -> Tensor:
    """Heatmap cells → input pixels; the inverse of :func:`to_cells`.

    Args:
        points_BK2: landmarks, in cells.
        stride: s.

    Returns:
        points_BK2, input px. Spreads scale by ``stride`` and covariances by its square, without the shift.
    """
    return points_BK2 if stride == 1 else (points_BK2 + 0.5) * stride - 0.5
