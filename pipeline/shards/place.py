"""The choice of the face that is meant in an image, and of the square around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.datasets.face import Annotation
from pipeline.faces.crop import Crop, crop_around
from pipeline.markup import Markup
from pipeline.shards.manifest import CropPoints, CropPolicy

DECIMALS = 4
"""Stored coordinates are rounded to 1e-4 px before the crop is cut: pixels and JSON agree exactly."""

_SAME_FACE = 0.5
"""A detection is the labelled face if its five points lie on average within this share of the longer side of
the labelled five points' box. Inter-ocular distance would do for frontal faces, but it vanishes in
profile."""


class Face(Protocol):
    """What is needed of a detection (``pipeline.faces.detect.DetectedFace``)."""

    @property
    def five_52(self) -> np.ndarray:
        """(5, 2) pupils, nose tip, mouth corners, (x, y) px of the original image."""


class Detector(Protocol):
    """What is needed of ``pipeline.faces.detect.FaceDetector``."""

    def detect(self, images: Sequence[np.ndarray], /) -> Sequence[Sequence[Any]]:
        """Faces of each (H, W, 3) uint8 image, largest first."""


@dataclass(frozen=True)
class Placement:
    """A face's square, and the five points it was placed around; None where it was placed around something else."""

    crop: Crop
    five_52: np.ndarray | None
    five_source: CropPoints


def _square(points_N2: np.ndarray, source: CropPoints, policy: CropPolicy, *, five: bool) -> Placement | None:
    points_N2 = np.round(np.asarray(points_N2, dtype=np.float64), DECIMALS)
    try:
        crop = crop_around(points_N2, side_factor=policy.side_factor, size=policy.size)
    except ValueError:
        return None
    left, top, side = (round(value, DECIMALS) for value in (crop.left, crop.top, crop.side))
    if side <= 0:
        return None
    return Placement(Crop(left, top, side, policy.size), points_N2 if five else None, source)


def place_image(width: int, height: int, policy: CropPolicy) -> Placement | None:
    """The square around a whole image of this size, px."""
    corners_22 = np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])  # edges; points are pixel centres
    return _square(corners_22, "image", policy, five=False)


def place_box(annotation: Annotation, policy: CropPolicy) -> Placement | None:
    """The square around the data set's box; None if it gives none."""
    if annotation.box is None:
        return None
    return _square(np.reshape(annotation.box, (2, 2)), "box", policy, five=False)


def _complete(labelled_52: np.ndarray, annotation: Annotation, markup: Markup) -> np.ndarray | None:
    """The five points of a face some of whose landmarks have no position, as where the face itself hides them.

    A point stands for those of its landmarks that are known. A pupil or mouth corner without any lies where its partner
    does, as the two do in profile: without this, a test set would lose its hardest faces.

    Returns:
        None where neither pupil, or neither mouth corner, is known.
    """
    five_52 = labelled_52.copy()
    for point_2, landmarks in zip(five_52, markup.five_points or (), strict=True):
        points_N2 = annotation.points_K2[list(landmarks)]
        known_N = np.isfinite(points_N2).all(axis=1)
        if known_N.any() and not known_N.all():
            point_2[:] = points_N2[known_N].mean(axis=0)
    for one, other in ((0, 1), (1, 0), (3, 4), (4, 3)):
        if not np.isfinite(five_52[one]).all():
            five_52[one] = five_52[other]
    if not np.isfinite(five_52[[0, 1, 3, 4]]).all():
        return None
    if not np.isfinite(five_52[2]).all():
        five_52[2] = five_52[[0, 1, 3, 4]].mean(axis=0)
    return five_52


def place_unlabelled(face: Face, policy: CropPolicy) -> Placement | None:
    """The square around a detected face; None if its points span no area."""
    return _square(face.five_52, "detector", policy, five=True)


def place_labelled(
    faces: Sequence[Face], annotation: Annotation, markup: Markup, policy: CropPolicy, *, fall_back: bool
) -> Placement | None:
    """The square around the labelled face.

    Args:
        faces: Detections; looked at only if the policy places squares by the detector.
        annotation: The landmarks.
        markup: Theirs.
        policy: How squares are placed.
        fall_back: Place the square by the landmarks where no detection is the labelled face.

    Returns:
        None if neither way gives a square.
    """
    if markup.five_points is None:
        known_K = np.isfinite(annotation.points_K2).all(axis=1)
        if policy.points != "landmarks" or not known_K.any():
            return None
        return _square(annotation.points_K2[known_K], "landmarks", policy, five=False)
    # A five-point is a mean of landmarks; one landmark of unknown position makes it unknown (NaN).
    labelled_52 = markup.five_from(annotation.points_K2)
    known = np.isfinite(labelled_52).all(axis=1)
    if policy.points == "detector" and known.any():
        points = annotation.points_K2[np.isfinite(annotation.points_K2).all(axis=1)]
        spread = labelled_52[known] if known.sum() > 1 else points
        extent = float((spread.max(axis=0) - spread.min(axis=0)).max())
        distances = [
            float(np.linalg.norm(face.five_52[known] - labelled_52[known], axis=1).mean()) for face in faces
        ]
        if distances and min(distances) <= _SAME_FACE * extent:
            found = faces[int(np.argmin(distances))]
            placed = _square(found.five_52, "detector", policy, five=True)
            if placed is not None:
                return placed
    if fall_back or policy.points == "landmarks":
        completed_52 = _complete(labelled_52, annotation, markup)
        if completed_52 is not None:
            return _square(completed_52, "landmarks", policy, five=True)
    return None
