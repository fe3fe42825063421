"""Error ellipses: the curve of one Mahalanobis distance about a landmark, on a face (Kumar et al., ICCVW 2019, figure 1)."""

from __future__ import annotations

import numpy as np
from PIL import ImageDraw

from pipeline.evaluation.plots.overlays import OUTLINE, enlarge, on_canvas, reduced
from pipeline.evaluation.plots.palette import PREDICTION, TRUTH

_POINTS = 48  # corners of a drawn ellipse
_SUPERSAMPLE = 4  # Pillow draws without anti-aliasing, and these lines are thinner than the contours


def ellipse_axes(covariance_K22: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half axes and direction of the ellipses of Mahalanobis distance 1.

    Args:
        covariance_K22: (K, 2, 2) px², symmetric and positive semidefinite, axes (x, y).

    Returns:
        Half axes (K, 2) px, the longer first, and the angle (K,) of the longer one from the x axis towards y, in
        (−π/2, π/2]; 0 for a circle.
    """
    wide = np.asarray(covariance_K22, dtype=np.float64)
    xx, yy, xy = wide[..., 0, 0], wide[..., 1, 1], (wide[..., 0, 1] + wide[..., 1, 0]) / 2
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    variances_K2 = np.stack([middle + half, middle - half], axis=-1)
    return np.sqrt(np.clip(variances_K2, 0.0, None)), 0.5 * np.arctan2(2 * xy, xx - yy)


def ellipse_outlines(
    centres_K2: np.ndarray, covariance_K22: np.ndarray, sigmas: float = 1.0, points: int = _POINTS
) -> np.ndarray:
    """Points on the ellipses, in order.

    Args:
        centres_K2: (K, 2), (x, y) px.
        covariance_K22: (K, 2, 2) px².
        sigmas: Mahalanobis distance: 1 holds 39 % of a Gaussian, 2 holds 86 %.
        points: P, how many, evenly in the ellipse's own angle.

    Returns:
        (K, P, 2), (x, y) px.

    Raises:
        ValueError: ``sigmas`` is not positive.
    """
    if not sigmas > 0:
        raise ValueError(f"an ellipse at {sigmas} standard deviations: give a positive number")
    axes_K2, angle_K = ellipse_axes(covariance_K22)
    turn = np.linspace(0.0, 2.0 * np.pi, points, endpoint=False)
    own_KP2 = sigmas * axes_K2[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    cos, sin = np.cos(angle_K), np.sin(angle_K)
    rotation_K22 = np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
    return np.asarray(centres_K2, dtype=np.float64)[:, None] + own_KP2 @ rotation_K22.swapaxes(-1, -2)


def draw_ellipses(
    image_HW3: np.ndarray,
    predicted_K2: np.ndarray,
    covariance_K22: np.ndarray,
    target_K2: np.ndarray | None = None,
    *,
    mask_K: np.ndarray | None = None,
    sigmas: float = 1.0,
    width: int = 320,
) -> np.ndarray:
    """Draw each predicted landmark with its ellipse, and true landmarks as points.

    Args:
        image_HW3: (H, W, 3) uint8.
        predicted_K2: (K, 2) predicted landmarks, (x, y) px of ``image_HW3``; drawn amber.
        covariance_K22: (K, 2, 2) px² of ``image_HW3``.
        target_K2: (K, 2) true landmarks, sky blue; None to leave them out.
        mask_K: (K,) bool, True where the true landmark is known; the others are not drawn as truth.
        sigmas: Mahalanobis distance of the ellipses.
        width: Width of the result, px.

    Returns:
        (round(H · width / W), width, 3) uint8.
    """
    canvas, factor = enlarge(image_HW3, width * _SUPERSAMPLE)
    draw = ImageDraw.Draw(canvas)
    unit = width * _SUPERSAMPLE / 320
    shown = np.flatnonzero(np.isfinite(predicted_K2).all(axis=-1))
    outlines = ellipse_outlines(predicted_K2[shown], covariance_K22[shown], sigmas)
    outlines = on_canvas(outlines.reshape(-1, 2), factor, canvas.width).reshape(outlines.shape)
    for thickness, fill in ((2.0 * unit, OUTLINE), (1.1 * unit, PREDICTION)):
        for outline in outlines:
            corners = [tuple(point) for point in (*outline, *outline[:2])]
            draw.line(corners, fill=fill, width=max(1, round(thickness)), joint="curve")
    spots = [(on_canvas(predicted_K2[shown], factor, canvas.width), PREDICTION)]
    if target_K2 is not None:
        known = np.isfinite(target_K2).all(axis=-1) & (True if mask_K is None else mask_K)
        spots.append((on_canvas(target_K2[known], factor, canvas.width), TRUTH))
    for points, colour in spots:
        for x, y in points:
            for radius, fill in ((1.7 * unit, OUTLINE), (1.2 * unit, colour)):
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    return reduced(canvas, image_HW3, width)
