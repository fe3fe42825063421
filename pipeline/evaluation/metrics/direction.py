"""In which direction landmarks err: across or along the contour they lie on.

Huang et al., "ADNet", ICCV 2021: annotators and networks alike are less sure along a contour (tangent) than
across it (normal). Table 8 reports the NME of either component; their bias rate is equation 12,
(NME_tangent − NME_normal) / NME_normal: 33.5 % for the paper's baseline, 48.1 % for ADNet.

The direction is that of the loss (``pipeline.losses.adl``, its default): the tangent of a true landmark is the
chord from the previous to the next landmark on the first curve it lies on, one-sided at the end of an open
curve and beside a masked neighbour. Landmarks off all curves, without a known neighbour, or between neighbours
that are one point, have no direction and count in neither component.

Shapes: N faces, K landmarks; (x, y) px.
"""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.metrics.nme import point_errors
from pipeline.markup import Markup

SAME_POINT_PX = 1e-3
"""Neighbours closer than this give no direction; annotations have two decimals."""


def curve_tangents(target_NK2: np.ndarray, mask_NK: np.ndarray, markup: Markup) -> np.ndarray:
    """Unit vectors along the curves of the true landmarks.

    Args:
        target_NK2: (N, K, 2) true landmarks, (x, y) px; anything where masked.
        mask_NK: (N, K) bool, True where the landmark is known.
        markup: Names the curves.

    Returns:
        (N, K, 2) float64; NaN where the landmark is masked or has no direction.

    Raises:
        ValueError: K is not the markup's.
    """
    mask = np.asarray(mask_NK, dtype=bool)
    if mask.shape[1] != markup.num_landmarks:
        raise ValueError(f"{mask.shape[1]} landmarks, but markup '{markup.name}' has {markup.num_landmarks}")
    points = np.where(mask[..., None], np.asarray(target_NK2, dtype=np.float64), np.nan)
    own_K = np.arange(markup.num_landmarks)
    # At the end of a curve, and beside a masked neighbour, the landmark itself stands in.
    sides = (np.where(index_K < 0, own_K, index_K) for index_K in markup.neighbours.T)
    previous_NK2, next_NK2 = (np.where(mask[:, side_K, None], points[:, side_K], points) for side_K in sides)
    chord_NK2 = next_NK2 - previous_NK2
    length_NK1 = np.linalg.norm(chord_NK2, axis=-1, keepdims=True)
    usable = (length_NK1 > SAME_POINT_PX) & mask[..., None]  # NaN compares False
    return np.where(usable, chord_NK2 / np.where(usable, length_NK1, 1.0), np.nan)


def normal_and_tangent(
    predicted_NK2: np.ndarray, target_NK2: np.ndarray, mask_NK: np.ndarray, markup: Markup
) -> tuple[np.ndarray, np.ndarray]:
    """Error across and along the curve, each without its sign.

    Args:
        predicted_NK2: (N, K, 2) predicted landmarks, (x, y) px.
        target_NK2: (N, K, 2) true landmarks, in the same pixels.
        mask_NK: (N, K) bool, True where the landmark counts.
        markup: Names the curves.

    Returns:
        Normal and tangent error, (N, K) float64 px each; NaN where masked or without a direction, infinite
        where the prediction is not finite.

    Raises:
        ValueError: The shapes disagree, or a counted true landmark is not finite.
    """
    lost_NK = np.isinf(point_errors(predicted_NK2, target_NK2, mask_NK))
    tangent_NK2 = curve_tangents(target_NK2, mask_NK, markup)
    with np.errstate(invalid="ignore"):
        error_NK2 = np.asarray(predicted_NK2, dtype=np.float64) - np.asarray(target_NK2, dtype=np.float64)
        along = np.abs((error_NK2 * tangent_NK2).sum(axis=-1))
        across = np.abs(error_NK2[..., 0] * tangent_NK2[..., 1] - error_NK2[..., 1] * tangent_NK2[..., 0])
    lost_NK &= np.isfinite(tangent_NK2).all(axis=-1)
    return np.where(lost_NK, np.inf, across), np.where(lost_NK, np.inf, along)


def bias_rate(normal: float, tangent: float) -> float:
    """(tangent − normal) / normal, equation 12: above 0 where errors spread along the curves.

    Args:
        normal: NME across the curves.
        tangent: NME along the curves, in the same unit.

    Returns:
        A ratio; NaN where it is undefined.
    """
    return (
        (tangent - normal) / normal if normal > 0 and np.isfinite([normal, tangent]).all() else float("nan")
    )
