"""Edge maps from a markup's curves, drawn in batch on the device: targets of ADNet's attention.

Its other targets, point maps, are :func:`pipeline.heatmaps.unit_peak.unit_gaussian_heatmaps`.

Source: Huang et al., "ADNet", ICCV 2021, section 3.2 and 4.1 (line width 1), after Wu et al., "Look at Boundary", CVPR 2018.

Shapes: points_BK2 (x, y) on the **heatmap's own grid** (see :mod:`pipeline.heatmaps.stride`), cells, the centre of the
top-left cell at (0, 0); edges_BEHW in [0, 1], 1 on the edge.

What the paper leaves open, and the choice made here:

- An edge joins a curve's landmarks by straight lines, as its "edge connected by adjacent points" reads.
- A line of width w is drawn anti-aliased: a cell at distance d has the share w/2 + ½ − d of itself covered, within
  [0, 1]. The sum across a horizontal or vertical line is w wherever the line lies between the cells' centres. The Gaussian
  profile of "Look at Boundary" is the other choice.
- A segment with a landmark that is not annotated is left out. What remains of its curve is drawn, but the curve
  is marked as incomplete, because the map then lacks an edge that the image may show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pipeline.markup import Curve
from pipeline.precision import at_least_float32

Profile = Literal["line", "gaussian"]


class EdgeMaps(NamedTuple):
    """Drawn edges.

    Attributes:
        edges_BEHW: in [0, 1].
        complete_BE: True where every landmark of the curve is annotated; the loss counts these alone.
    """

    edges_BEHW: Tensor
    complete_BE: Tensor


def edge_maps(
    points_BK2: Tensor,
    curves: Sequence[Curve],
    size: tuple[int, int],
    width: float = 1.0,
    mask_BK: Tensor | None = None,
    profile: Profile = "line",
) -> EdgeMaps:
    """Draw every curve of a markup.

    Args:
        points_BK2: landmarks, cells; may lie outside the grid. Masked ones may be anything, NaN included.
        curves: of the markup; E of them. A curve of one landmark is a dot.
        size: (h, w).
        width: of the line, cells; the σ of the Gaussian profile.
        mask_BK: True where a landmark is annotated; None where all are.
        profile: ``line``, or ``gaussian`` for exp(−d²/2σ²).

    Returns:
        The maps and which of them are complete.

    Raises:
        ValueError: a width that is not positive.
    """
    if width <= 0.0:
        raise ValueError(f"edge_maps: width is {width}; it must be positive")
    points_BK2 = at_least_float32(points_BK2)
    if mask_BK is None:
        mask_BK = points_BK2.new_ones(points_BK2.shape[:2], dtype=torch.bool)
    mask_BK = mask_BK > 0
    points_BK2 = torch.where(mask_BK[..., None], points_BK2, 0.0)
    maps = [_curve(points_BK2, mask_BK, curve, size, width, profile) for curve in curves]
    complete = [mask_BK[:, list(curve.indices)].all(-1) for curve in curves]
    batch = len(points_BK2)
    return EdgeMaps(
        torch.stack(maps, 1) if maps else points_BK2.new_zeros(batch, 0, *size),
        torch.stack(complete, 1) if complete else mask_BK.new_zeros(batch, 0),
    )


def _curve(
    points_BK2: Tensor,
    mask_BK: Tensor,
    curve: Curve,
    size: tuple[int, int],
    width: float,
    profile: Profile,
) -> Tensor:
    # A dot is a segment without length.
    segments = curve.segments or ((curve.indices[0], curve.indices[0]),)
    starts, ends = ([segment[side] for segment in segments] for side in (0, 1))
    present_BS = mask_BK[:, starts] & mask_BK[:, ends]
    squared_BSHW = _squared_distances(points_BK2[:, starts], points_BK2[:, ends], size)
    absent = squared_BSHW.new_tensor(torch.inf)
    squared_BHW = torch.where(present_BS[..., None, None], squared_BSHW, absent).amin(1)
    if profile == "gaussian":
        return (-0.5 * squared_BHW / width**2).exp()
    return ((width + 1.0) / 2.0 - squared_BHW.sqrt()).clamp(0.0, min(width, 1.0))


def _squared_distances(start_BS2: Tensor, end_BS2: Tensor, size: tuple[int, int]) -> Tensor:
    """Squared distance of every cell's centre from every segment, (B, S, h, w)."""
    x_W, y_H = _axes(size, start_BS2)
    along_BS2 = end_BS2 - start_BS2
    length_BS = along_BS2.square().sum(-1)
    dx_BSW = x_W - start_BS2[..., :1]
    dy_BSH = y_H - start_BS2[..., 1:]
    projection_BSHW = (
        dx_BSW[..., None, :] * along_BS2[..., 0, None, None]
        + dy_BSH[..., :, None] * along_BS2[..., 1, None, None]
    )
    # Two landmarks in one place: the projection is 0, whatever it is divided by.
    share_BSHW = (projection_BSHW / length_BS.clamp(min=1e-12)[..., None, None]).clamp(0.0, 1.0)
    x_BSHW = dx_BSW[..., None, :] - share_BSHW * along_BS2[..., 0, None, None]
    y_BSHW = dy_BSH[..., :, None] - share_BSHW * along_BS2[..., 1, None, None]
    return x_BSHW.square() + y_BSHW.square()


def _axes(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    height, width = size
    x_W = torch.arange(width, dtype=like.dtype, device=like.device)
    return x_W, torch.arange(height, dtype=like.dtype, device=like.device)
