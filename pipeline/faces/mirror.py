"""The left-right symmetry of faces, found in their landmarks: whether a markup's flip pairs are those of its faces.

A face's landmarks are mirrored and laid back onto themselves by iterated closest points (Besl and McKay, "A Method for
Registration of 3-D Shapes", PAMI 14(2), 1992), which asks no pairs: on which landmark each one comes to lie is then held
against the pairs. Faces that are turned away fit their mirror images badly; the third that fits best is looked at.

Lengths are in shares of the face's extent. Of 60 draws each of 12, 20 and 40 faces of 300-W none was found wrong with the right
pairs, and all were with an outer eye corner paired with the other eye's inner one. Of fewer faces only gross mistakes are told,
e.g. no pairs at all: all of them may be turned.
"""

from __future__ import annotations

import numpy as np

_TURNS = (-60.0, -30.0, 0.0, 30.0, 60.0)  # degrees, twice those that a face may be rolled; each is a start
_ROUNDS = 6
_OUTLIERS = 3.0  # closest points further off than so many medians say nothing of where the mirror image lies
_LOOKED_AT = 160  # faces, evenly drawn
_ENOUGH = 12  # faces among which some look ahead
_ENOUGH_POINTS = 60  # for so few faces: a handful of points, turned, lie on each other in many ways
_WORST_FIT = 0.37  # over √K; closest points further off on the mean say nothing of pairs: nobody looks ahead, or it is no face.
# Points strewn at random lie 0.5/√K from the nearest.
_LEAST = 0.04  # a mirrored landmark that far off its partner may be wrong; inner and outer lips are closer
_BY_FIT = 2.0  # … and so many times the fit
_BY_FIT_OF_FEW = 10.0  # the same for fewer than _ENOUGH faces, all of which may be turned
_CLEARER = 0.3  # the landmark it lies on must be nearer than this share of the partner's distance


def wrong_partner(shapes_NK2: np.ndarray, permutation_K: np.ndarray) -> str | None:
    """The landmark whose mirror image lies clearest on another than its partner.

    Args:
        shapes_NK2: Landmarks of faces, px of any frame; NaN where unknown.
        permutation_K: ``Markup.flip_permutation``.

    Returns:
        A sentence that names it, its partner and the landmark that fits; None if there is no such, or no face to judge by.
    """
    count = shapes_NK2.shape[1]
    known_N = np.isfinite(shapes_NK2).all(axis=2).sum(axis=1)
    shapes_NK2 = shapes_NK2[known_N > max(2, count // 2)]
    if not len(shapes_NK2) or (len(shapes_NK2) < _ENOUGH and count < _ENOUGH_POINTS):
        return None
    shapes_NK2 = shapes_NK2[:: -(-len(shapes_NK2) // _LOOKED_AT)]
    distance_NKK, fit_N = mirrored_distances(shapes_NK2)
    best = np.argsort(fit_N, kind="stable")[: -(-len(fit_N) // 3)]
    fit = float(fit_N[best].mean())
    if not fit <= _WORST_FIT / np.sqrt(count):
        return None
    distance_KK = _known_median(distance_NKK[best])
    landmark_K = np.arange(len(permutation_K))
    nearest_K = distance_KK.argmin(axis=1)
    to_partner_K, to_nearest_K = distance_KK[landmark_K, permutation_K], distance_KK[landmark_K, nearest_K]
    allowed = _LEAST + fit * (_BY_FIT if len(fit_N) >= _ENOUGH else _BY_FIT_OF_FEW)
    wrong_K = (
        (nearest_K[nearest_K] == landmark_K)
        & (nearest_K != permutation_K)
        & (to_nearest_K < _CLEARER * to_partner_K)
        & (to_partner_K > allowed)
        & np.isfinite(to_partner_K)
    )
    if not wrong_K.any():
        return None
    worst = int(np.where(wrong_K, to_partner_K, 0.0).argmax())
    first = int(np.flatnonzero(wrong_K & np.isclose(to_partner_K, to_partner_K[worst], rtol=0.5))[0])
    return (
        f"mirrored, landmark {first} lies on {nearest_K[first]}, not on its partner {permutation_K[first]}, which is "
        f"{to_partner_K[first]:.0%} of the face away"
    )


def mirrored_distances(shapes_NK2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each landmark's mirror image lies from each landmark, the mirrored face laid onto the face.

    Args:
        shapes_NK2: NaN where unknown; more than two landmarks known in each face.

    Returns:
        (N, K, K) distances from mirrored landmark to landmark, infinite where either is unknown; (N,) mean distance of the
        closest ones. In shares of the face's extent.
    """
    known_NK = np.isfinite(shapes_NK2).all(axis=2)
    point_NK = _normalised(shapes_NK2, known_NK)
    off_N1K = np.where(known_NK, 0.0, np.inf)[:, None, :]
    mirror_NK = -point_NK.conj()
    best_NKK = np.full((*known_NK.shape, known_NK.shape[1]), np.inf)
    best_N = np.full(len(known_NK), np.inf)
    for degrees in _TURNS:
        turn_N1 = np.full((len(known_NK), 1), np.exp(1j * np.radians(degrees)))
        shift_N1 = np.zeros_like(turn_N1)
        for _ in range(_ROUNDS):
            distance_NKK = _distances(turn_N1 * mirror_NK + shift_N1, point_NK) + off_N1K
            nearest_NK, closest_NK = distance_NKK.argmin(axis=2), distance_NKK.min(axis=2)
            closest_NK = np.where(known_NK, closest_NK, np.nan)
            limit_N1 = _OUTLIERS * np.nanmedian(closest_NK, axis=1, keepdims=True) + 1e-9
            weight_NK = (known_NK & (closest_NK <= limit_N1)).astype(np.float64)
            target_NK = np.take_along_axis(point_NK, nearest_NK, axis=1)
            turn_N1, shift_N1 = _rigid(mirror_NK, target_NK, weight_NK, turn_N1)
        distance_NKK = _distances(turn_N1 * mirror_NK + shift_N1, point_NK) + off_N1K
        fit_N = np.nanmean(np.where(known_NK, distance_NKK.min(axis=2), np.nan), axis=1)
        better_N = fit_N < best_N
        best_NKK[better_N], best_N[better_N] = distance_NKK[better_N], fit_N[better_N]
    return np.where(known_NK[:, :, None], best_NKK, np.inf), best_N


def _known_median(distance_NKK: np.ndarray) -> np.ndarray:
    """Over the faces that show both landmarks; infinite where none does."""
    known_NKK = np.isfinite(distance_NKK)
    known_NKK[0] |= ~known_NKK.any(axis=0)  # an infinity among nothing stays one
    median: np.ndarray = np.nanmedian(np.where(known_NKK, distance_NKK, np.nan), axis=0)
    return median


def _normalised(shapes_NK2: np.ndarray, known_NK: np.ndarray) -> np.ndarray:
    """(N, K) complex x + iy, centred, of extent 1; 0 where unknown."""
    low_N2 = np.where(known_NK[..., None], shapes_NK2, np.inf).min(axis=1)
    high_N2 = np.where(known_NK[..., None], shapes_NK2, -np.inf).max(axis=1)
    extent_N = np.maximum((high_N2 - low_N2).max(axis=1), 1e-9)
    filled_NK2 = np.where(known_NK[..., None], shapes_NK2, 0.0)
    mean_N2 = filled_NK2.sum(axis=1) / known_NK.sum(axis=1)[:, None]
    centred_NK2 = (filled_NK2 - mean_N2[:, None]) / extent_N[:, None, None]
    points: np.ndarray = np.where(known_NK, centred_NK2[..., 0] + 1j * centred_NK2[..., 1], 0.0)
    return points


def _distances(from_NK: np.ndarray, to_NK: np.ndarray) -> np.ndarray:
    return np.abs(from_NK[:, :, None] - to_NK[:, None, :])


def _rigid(
    from_NK: np.ndarray, to_NK: np.ndarray, weight_NK: np.ndarray, otherwise_N1: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares turn (a complex number of modulus 1) and shift, in closed form."""
    total_N1 = weight_NK.sum(axis=1, keepdims=True)
    from_N1 = (from_NK * weight_NK).sum(axis=1, keepdims=True) / total_N1
    to_N1 = (to_NK * weight_NK).sum(axis=1, keepdims=True) / total_N1
    turn_N1 = ((from_NK - from_N1).conj() * (to_NK - to_N1) * weight_NK).sum(axis=1, keepdims=True)
    size_N1 = np.abs(turn_N1)
    turn_N1 = np.where(size_N1 > 1e-12, turn_N1 / np.maximum(size_N1, 1e-12), otherwise_N1)
    return turn_N1, to_N1 - turn_N1 * from_N1
