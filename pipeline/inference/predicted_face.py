"""A face before it is predicted, as a detector or a box places it, and after, with its landmarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.faces.crop import Crop

Box = tuple[float, float, float, float]

# Where MTCNN's five points lie in MTCNN's own box, medians over 250 images of 300-W: the longer side of their box is 0.40 of the
# box's (90 % of faces: 0.35 … 0.47), and its centre lies 0.075 of it below the box's.
_FIVE_SIDE, _FIVE_BELOW = 0.40, 0.075


@dataclass(frozen=True)
class FoundFace:
    """A face that is to be predicted: the points its square is placed around, and what is told of it."""

    image_HW3: np.ndarray
    around_N2: np.ndarray
    box: Box
    score: float | None


def from_image(image_HW3: np.ndarray) -> FoundFace:
    """What fills its image."""
    height, width = image_HW3.shape[:2]
    return from_box(image_HW3, (0, 0, width, height), face=False)


def from_box(image_HW3: np.ndarray, box: Sequence[float], *, face: bool = True) -> FoundFace:
    """A face that a box was given for.

    Args:
        image_HW3: The image.
        box: (left, top, right, bottom) edges, px; a face's about as MTCNN draws them.
        face: Squares are placed around a face's five points, which are guessed from the box; False: around the box itself.

    Raises:
        DataError: It spans no area.
    """
    if (
        len(box) != 4
        or not all(math.isfinite(value) for value in box)
        or box[0] >= box[2]
        or box[1] >= box[3]
    ):
        raise DataError(
            f"box {tuple(box)}: expected left < right and top < bottom, px, as (left, top, right, bottom)"
        )
    left, top, right, bottom = map(float, box)
    if not face:
        corners_22 = np.array([[left, top], [right, bottom]]) - 0.5
        return FoundFace(image_HW3, corners_22, (left, top, right, bottom), None)
    longer = max(right - left, bottom - top)
    # Edges; the points of a square are pixel centres.
    centre = np.array([(left + right) / 2, (top + bottom) / 2 + _FIVE_BELOW * longer]) - 0.5
    half = _FIVE_SIDE * longer / 2
    return FoundFace(image_HW3, np.stack([centre - half, centre + half]), (left, top, right, bottom), None)


@dataclass(frozen=True, eq=False)
class PredictedFace:
    """A face and its landmarks; all positions are px of the image, (x, y), the centre of the top-left pixel at (0, 0).

    Attributes:
        points_K2: (K, 2) float64.
        covariance_K22: (K, 2, 2) float64, px², axes (x, y); None from a model that states none.
        confidence_K: (K,) probability that each landmark lies within the tolerance; None likewise.
        confidence: Their mean, the share of landmarks that is expected to be right; None likewise.
        calibrated: Whether confidences follow a temperature fitted on held-out faces, or the model's bare word.
        box: (left, top, right, bottom) edges, as detected or given; of a stored crop, its square.
        score: The detector's; None for a box that was given.
        crop: The square the model saw.
        image_SS3: (S, S, 3) uint8, its pixels.
        size: Side of the face, px: what tolerances are shares of.
    """

    points_K2: np.ndarray
    covariance_K22: np.ndarray | None
    confidence_K: np.ndarray | None
    confidence: float | None
    calibrated: bool
    box: Box
    score: float | None
    crop: Crop
    image_SS3: np.ndarray
    size: float
