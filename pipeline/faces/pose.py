"""Pose of faces from their landmarks: one coordinate per shape, and bins along it.

Source: Rayhan et al., "Not all points are created equal - an anisotropic cost function for facial landmark location", BMVC 2020,
section 3.2; Feng et al., "Wing Loss", CVPR 2018, section 5 (pose-based data balancing). Shapes are aligned to their mean by
Procrustes analysis (turn, scale and shift, no mirror), which leaves the turn of the head and the face's own form; the first
principal component of what is left is the head's yaw. K bins of equal width divide it.

Shapes: (N, K, 2) landmarks (x, y), any unit, NaN where unknown. numpy only.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pipeline.errors import DataError

Origin = Literal["mean", "mean_of_bin_means"]

_ROUNDS = 100
_TOLERANCE = 1e-20  # of a sum of squares
_FILLS = 30  # rounds of completing hidden landmarks; a hundred change the bins by a few faces
_STILL = 1e-6
_MIN_SHOWN = 0.05  # of the component's square, for a place along it to mean anything


def align(shapes_NK2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Generalised Procrustes analysis: every shape turned, scaled and shifted onto the mean shape.

    Args:
        shapes_NK2: NaN where unknown; a shape needs two known landmarks.

    Returns:
        (N, K, 2) aligned shapes, NaN where unknown; and the mean shape (K, 2), centred, of norm 1.

    Raises:
        DataError: A shape with fewer than two distinct known landmarks, or a landmark that no shape has.
    """
    known_NK = np.isfinite(shapes_NK2).all(-1)
    if not known_NK.any(0).all():
        raise DataError(
            f"landmarks {np.flatnonzero(~known_NK.any(0)).tolist()} are known in no face: no mean shape"
        )
    weight_NK = known_NK.astype(np.float64)
    filled_NK2 = np.where(known_NK[..., None], shapes_NK2, 0.0)
    poor_N = ~usable(shapes_NK2)
    if poor_N.any():
        raise DataError(
            f"{int(poor_N.sum())} faces have fewer than two distinct known landmarks (first: {int(np.argmax(poor_N))}): their "
            "pose is unknown"
        )
    # The fullest shape sets the upright; on what it knows the others are put first.
    first = int(np.argmax(weight_NK.sum(1)))
    start_NK = weight_NK * weight_NK[first]
    start_N = usable(np.where(start_NK[..., None] > 0, shapes_NK2, np.nan))
    aligned_NK2 = _onto(filled_NK2[start_N], start_NK[start_N], filled_NK2[first])
    mean_K2 = _unit(_mean(aligned_NK2, weight_NK[start_N], filled_NK2[first]))
    for _ in range(_ROUNDS):
        aligned_NK2 = _onto(filled_NK2, weight_NK, mean_K2)
        fresh_K2 = _unit(_mean(aligned_NK2, weight_NK, mean_K2))
        moved = np.square(fresh_K2 - mean_K2).sum()
        mean_K2 = fresh_K2
        if moved < _TOLERANCE:
            break
    return np.where(known_NK[..., None], aligned_NK2, np.nan), mean_K2


def usable(shapes_NK2: np.ndarray) -> np.ndarray:
    """(N,) bool: faces with two distinct known landmarks, which is what a place and a size take."""
    known_NK1 = np.isfinite(shapes_NK2).all(-1)[..., None]
    low_N2 = np.where(known_NK1, shapes_NK2, np.inf).min(1)
    high_N2 = np.where(known_NK1, shapes_NK2, -np.inf).max(1)
    several: np.ndarray = (high_N2 - low_N2).max(-1) > 0
    return several


def _mean(shapes_NK2: np.ndarray, weight_NK: np.ndarray, otherwise_K2: np.ndarray) -> np.ndarray:
    total_K1 = weight_NK.sum(0)[:, None]
    mean: np.ndarray = (shapes_NK2 * weight_NK[..., None]).sum(0) / np.maximum(total_K1, 1)
    return np.where(total_K1 > 0, mean, otherwise_K2)


def _unit(shape_K2: np.ndarray) -> np.ndarray:
    centred = shape_K2 - shape_K2.mean(0)
    scaled: np.ndarray = centred / np.linalg.norm(centred)
    return scaled


def _onto(shapes_NK2: np.ndarray, weight_NK: np.ndarray, mean_K2: np.ndarray) -> np.ndarray:
    """Least-squares similarity of every shape to the mean, over its known landmarks; in closed form, with complex numbers."""
    total_N = weight_NK.sum(1)
    shape_NK = shapes_NK2[..., 0] + 1j * shapes_NK2[..., 1]
    target_K = mean_K2[:, 0] + 1j * mean_K2[:, 1]
    from_N = (shape_NK * weight_NK).sum(1) / total_N
    to_N = (target_K * weight_NK).sum(1) / total_N
    centred_NK = (shape_NK - from_N[:, None]) * weight_NK
    target_NK = (target_K - to_N[:, None]) * weight_NK
    turn_N = (centred_NK.conj() * target_NK).sum(1) / np.square(np.abs(centred_NK)).sum(1)
    placed_NK = turn_N[:, None] * (shape_NK - from_N[:, None]) + to_N[:, None]
    return np.stack([placed_NK.real, placed_NK.imag], -1)


def pose_coordinates(shapes_NK2: np.ndarray) -> np.ndarray:
    """Each shape's place along the first principal component of the aligned shapes.

    Where landmarks are unknown, a face's place is the least-squares one of those it shows, and the component is that of the
    shapes so completed (Josse and Husson, "missMDA", 2016). Put at the mean shape's, the hidden half of a profile would make it
    look half as turned as it is. The sign is that which makes the component's largest entry positive, so that the same faces
    give the same numbers.

    Args:
        shapes_NK2: As for :func:`align`; at least two.

    Returns:
        (N,) float64, in standard deviations; NaN for faces with fewer than two distinct known landmarks, and for those that
        show next to nothing of the component.

    Raises:
        DataError: Fewer than two shapes, or shapes without any difference.
    """
    usable_N = usable(shapes_NK2)
    coordinates_N = np.full(len(shapes_NK2), np.nan)
    # Landmarks that no face has, e.g. of a larger markup than the set's, say nothing of anybody.
    there_K = np.isfinite(shapes_NK2).all(-1).any(0)
    coordinates_N[usable_N] = _first_component(shapes_NK2[usable_N][:, there_K])
    return coordinates_N


def _first_component(shapes_NK2: np.ndarray) -> np.ndarray:
    if len(shapes_NK2) < 2:
        raise DataError(f"pose needs at least two faces, not {len(shapes_NK2)}")
    aligned_NK2, mean_K2 = align(shapes_NK2)
    known_NK2 = np.isfinite(aligned_NK2)
    known_ND, all_NK = known_NK2.reshape(len(known_NK2), -1), np.ones(known_NK2.shape[:2])
    filled_NK2 = np.where(known_NK2, aligned_NK2, mean_K2)
    mean_D, axis_D = _axis(filled_NK2)
    for _ in range(0 if known_NK2.all() else _FILLS):
        score_N = np.nan_to_num(_along(filled_NK2.reshape(known_ND.shape) - mean_D, known_ND, axis_D))
        guess_ND = mean_D + score_N[:, None] * axis_D
        filled_NK2 = np.where(known_NK2, filled_NK2, guess_ND.reshape(known_NK2.shape))
        # Completed, a profile is laid on the mean as a whole, not with what it shows stretched over it.
        filled_NK2 = _onto(filled_NK2, all_NK, _unit(filled_NK2.mean(0)))
        mean_D, fresh_D = _axis(filled_NK2)
        moved, axis_D = np.abs(fresh_D - axis_D).max(), fresh_D
        if moved < _STILL:
            break
    score_N = _along(filled_NK2.reshape(known_ND.shape) - mean_D, known_ND, axis_D)
    deviation = np.nanstd(score_N) if np.isfinite(score_N).any() else 0.0
    if deviation < 1e-9:
        raise DataError("all faces have the same shape: there is no pose to balance")
    scaled: np.ndarray = score_N / deviation
    return scaled


def _axis(shapes_NK2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and first principal component of complete shapes, each (2K,)."""
    rows_ND = shapes_NK2.reshape(len(shapes_NK2), -1)
    mean_D = rows_ND.mean(0)
    axis_D = np.linalg.eigh((rows_ND - mean_D).T @ (rows_ND - mean_D))[1][:, -1]
    return mean_D, axis_D * np.sign(axis_D[np.argmax(np.abs(axis_D))])


def _along(difference_ND: np.ndarray, known_ND: np.ndarray, axis_D: np.ndarray) -> np.ndarray:
    """Least-squares place along the axis by what a face shows; NaN where that is next to nothing of the axis."""
    shown_N = known_ND @ np.square(axis_D)
    along_N = np.where(known_ND, difference_ND, 0.0) @ axis_D
    return np.where(shown_N > _MIN_SHOWN, along_N / np.maximum(shown_N, _MIN_SHOWN), np.nan)


def bins_of(coordinates_N: np.ndarray, bins: int) -> np.ndarray:
    """(N,) int64 bin of each face, 0 … ``bins`` − 1, of equal width between the least and the greatest coordinate.

    Faces of unknown pose, NaN, go where the mean shape is, at 0.
    """
    known_N = np.where(np.isfinite(coordinates_N), coordinates_N, 0.0)
    low, high = known_N.min(), known_N.max()
    share_N = (known_N - low) / max(high - low, 1e-12)
    return np.minimum((share_N * bins).astype(np.int64), bins - 1)


def mean_shape(shapes_NK2: np.ndarray, bin_N: np.ndarray | None = None) -> np.ndarray:
    """Mean of all shapes, or the mean of the bins' means, which a crowd of frontal faces does not dominate.

    Args:
        shapes_NK2: In one frame, e.g. px of the crop; not aligned. NaN where unknown.
        bin_N: Bin of each shape; None takes the plain mean.

    Returns:
        (K, 2).

    Raises:
        DataError: A landmark that no shape has.
    """
    groups = [shapes_NK2] if bin_N is None else [shapes_NK2[bin_N == b] for b in np.unique(bin_N)]
    known = [np.isfinite(group).all(-1) for group in groups]
    sums = np.stack([np.where(k[..., None], g, 0.0).sum(0) for g, k in zip(groups, known, strict=True)])
    counts = np.stack([k.sum(0) for k in known])
    there_GK = counts > 0
    if not there_GK.any(0).all():
        raise DataError(f"landmarks {np.flatnonzero(~there_GK.any(0)).tolist()} are known in no face")
    means_GK2 = sums / np.maximum(counts, 1)[..., None]
    # A bin without a landmark says nothing of it.
    total: np.ndarray = (means_GK2 * there_GK[..., None]).sum(0) / there_GK.sum(0)[:, None]
    return total
