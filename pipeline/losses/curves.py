"""Directions along facial contours, from the neighbours a markup's curves give each landmark.

Sources: Rayhan et al., "Not all points are created equal", BMVC 2020, eqs. 4–5 (tangents); Huang et al.,
"ADNet", ICCV 2021, eq. 5 (normals).

Shapes: neighbours_K2 int64, the previous and the next landmark on the curve, −1 where there is none; points
(x, y) in px; directions are unit vectors, or 0 where none is defined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.errors import ConfigError

if TYPE_CHECKING:  # losses stay importable without the markups' YAML reader
    from pipeline.markup import Markup

# px; neighbours closer than this give no direction. Annotations have two decimals.
SAME_POINT_PX = 1e-3


def curve_neighbours(markup: Markup) -> Tensor:
    """``Markup.neighbours`` as a tensor: neighbours_K2, int64, on the CPU."""
    return torch.tensor(markup.neighbours)


def corner_landmarks(markup: Markup) -> tuple[int, ...]:
    """Landmarks that are corners rather than places along a curve, as far as curves tell.

    These are the first and the opposite landmark of each closed curve with an even number of them (eyes and
    lips of 300-W and WFLW start at a corner), and landmarks that two curves share.
    """
    corners: set[int] = set()
    seen: set[int] = set()
    for curve in markup.curves:
        if curve.closed and len(curve.indices) % 2 == 0:
            corners |= {curve.indices[0], curve.indices[len(curve.indices) // 2]}
        corners |= seen & set(curve.indices)
        seen |= set(curve.indices)
    return tuple(sorted(corners))


def check_neighbours(neighbours_K2: Tensor, who: str) -> Tensor:
    """Refuse anything but an integer (K, 2) of landmark numbers and −1.

    Raises:
        ConfigError: naming ``who``.
    """
    shape = tuple(neighbours_K2.shape)
    if len(shape) != 2 or shape[1] != 2 or neighbours_K2.is_floating_point():
        raise ConfigError(
            f"{who}: neighbours are integers of shape (K, 2), not {neighbours_K2.dtype} {shape}"
        )
    if shape[0] and not (int(neighbours_K2.min()) >= -1 and int(neighbours_K2.max()) < shape[0]):
        raise ConfigError(f"{who}: neighbours are landmark numbers 0 … {shape[0] - 1}, or -1 for none")
    return neighbours_K2.long()


def tangents(target_BK2: Tensor, neighbours_K2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
    """Direction along the curve: next − previous, one-sided where one of them is missing.

    Eqs. 4 and 5 of Rayhan et al. A masked neighbour counts as missing. Collinear neighbours are no special
    case. The direction is 0 off all curves, where both neighbours are missing, and where the two ends of the
    difference are one point.

    Args:
        target_BK2: px; masked ones may be anything, NaN included.
        neighbours_K2: see the module.
        mask_BK: where a landmark is known; None where all are.

    Returns:
        tangents_BK2.
    """
    previous_BK2, next_BK2, _, _ = _neighbour_points(target_BK2, neighbours_K2, mask_BK)
    return unit(next_BK2 - previous_BK2)


def second_difference(target_BK2: Tensor, neighbours_K2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
    """Normal of ADNet's eq. 5, (previous + next − 2 own) normalised; 0 where a neighbour is missing.

    Returns:
        normals_BK2.
    """
    previous_BK2, next_BK2, has_previous_BK, has_next_BK = _neighbour_points(
        target_BK2, neighbours_K2, mask_BK
    )
    bend_BK2 = unit(previous_BK2 + next_BK2 - 2 * target_BK2)
    return torch.where((has_previous_BK & has_next_BK)[..., None], bend_BK2, 0.0)


def unit(vectors_BK2: Tensor) -> Tensor:
    """Vectors of length 1; those shorter than ``SAME_POINT_PX``, or not finite, become 0."""
    length_BK1 = torch.linalg.vector_norm(vectors_BK2, dim=-1, keepdim=True)
    usable = (length_BK1 > SAME_POINT_PX) & length_BK1.isfinite()
    return torch.where(usable, vectors_BK2 / torch.where(usable, length_BK1, 1.0), 0.0)


def _neighbour_points(
    target_BK2: Tensor, neighbours_K2: Tensor, mask_BK: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Previous and next points, a landmark's own where one is missing, and where they are known."""
    found: list[Tensor] = []
    known: list[Tensor] = []
    for side in (0, 1):
        index_K = neighbours_K2[:, side]
        there_BK = (index_K >= 0).expand(target_BK2.shape[:-1])
        index_K = index_K.clamp(min=0)
        if mask_BK is not None:
            there_BK = there_BK & (mask_BK[:, index_K] > 0)
        found.append(torch.where(there_BK[..., None], target_BK2[:, index_K], target_BK2))
        known.append(there_BK)
    return found[0], found[1], known[0], known[1]
