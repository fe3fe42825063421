"""Normalised mean error of landmarks.

Robinson et al. (ICCV 2019), equation 8: the mean Euclidean distance between predicted and true landmarks,
over the visible landmarks of a face, divided by a size d of that face. What d is makes the protocol; four are
in use:

- ``ocular``: distance between the outer eye corners (300-W challenge; Robinson 4.2, ADNet, UGLLI split 1,
  Wasserstein).
- ``pupil``: distance between the means of each eye's landmarks (ADNet, Rayhan).
- ``box``: sqrt(w · h) of the tight box of the true landmarks (UGLLI section 5, where no data-set box is
  given; AFLW).
- ``diagonal``: diagonal of that box (AFLW's "NME_diag").

Values here are ratios (0.04 is the papers' 4 %). A landmark whose mask is False is never read, so it may hold
anything, NaN included. A face without a defined, positive size, or without any counted landmark, has NME NaN:
callers count such faces and say so. A prediction that is not finite is an infinite error: a failure, never a
face that drops out.

Shapes: N faces, K landmarks.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from pipeline.markup import Markup

Normalisation = Literal["ocular", "pupil", "box", "diagonal"]
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)


def point_errors(predicted_NK2: np.ndarray, target_NK2: np.ndarray, mask_NK: np.ndarray) -> np.ndarray:
    """Euclidean error of every landmark.

    Args:
        predicted_NK2: (N, K, 2) predicted landmarks, (x, y) px.
        target_NK2: (N, K, 2) true landmarks, in the same pixels.
        mask_NK: (N, K) bool, True where the landmark counts.

    Returns:
        (N, K) float64 px; NaN where masked, infinite where the prediction is not finite.

    Raises:
        ValueError: The shapes disagree, or a counted true landmark is not finite.
    """
    predicted, target = np.asarray(predicted_NK2, dtype=np.float64), np.asarray(target_NK2, dtype=np.float64)
    mask = np.asarray(mask_NK, dtype=bool)
    if (
        predicted.ndim != 3
        or predicted.shape[2] != 2
        or predicted.shape != target.shape
        or mask.shape != target.shape[:2]
    ):
        raise ValueError(
            f"expected (N, K, 2), (N, K, 2), (N, K); got {predicted.shape}, {target.shape}, {mask.shape}"
        )
    if not np.isfinite(target[mask]).all():
        raise ValueError("a true landmark that counts is not finite: mask it out")
    with np.errstate(invalid="ignore"):
        errors = np.hypot(*np.moveaxis(predicted - target, -1, 0))
    errors = np.where(np.isfinite(predicted).all(axis=-1), errors, np.inf)
    return np.where(mask, errors, np.nan)


def face_size(
    target_NK2: np.ndarray, mask_NK: np.ndarray, normalisation: Normalisation, markup: Markup
) -> np.ndarray:
    """The size d that a face's error is divided by.

    Args:
        target_NK2: (N, K, 2) true landmarks, (x, y) px.
        mask_NK: (N, K) bool, True where the landmark counts.
        normalisation: Which size, see the module.
        markup: Says which landmarks are eye corners and eyes.

    Returns:
        (N,) float64 px; NaN where a landmark it needs is masked, where the markup does not define it, or
        where it is zero.

    Raises:
        ValueError: An unknown normalisation.
    """
    mask = np.asarray(mask_NK, dtype=bool)
    points = np.where(mask[..., None], np.asarray(target_NK2, dtype=np.float64), np.nan)
    undefined = np.full(len(points), np.nan)
    if normalisation == "ocular":
        if markup.ocular is None:
            return undefined
        left, right = (points[:, index] for index in markup.ocular)
        return _positive(np.linalg.norm(right - left, axis=-1))
    if normalisation == "pupil":
        if markup.pupils is None:
            return undefined
        # A mean over part of an eye is another point than the protocol's: any masked landmark leaves d
        # undefined.
        left, right = (points[:, list(indices)].mean(axis=1) for indices in markup.pupils)
        return _positive(np.linalg.norm(right - left, axis=-1))
    if normalisation not in NORMALISATIONS:
        raise ValueError(f"unknown normalisation {normalisation!r}: one of {', '.join(NORMALISATIONS)}")
    # fmax and fmin pass over NaN, and stay NaN where every landmark is masked.
    width_height_N2 = np.fmax.reduce(points, axis=1) - np.fmin.reduce(points, axis=1)
    if normalisation == "box":
        return _positive(np.sqrt(width_height_N2.prod(axis=-1)))
    return _positive(np.linalg.norm(width_height_N2, axis=-1))


def _positive(sizes_N: np.ndarray) -> np.ndarray:
    return np.where(sizes_N > 0, sizes_N, np.nan)


def nme_per_face(errors_NK: np.ndarray, sizes_N: np.ndarray) -> np.ndarray:
    """Normalised mean error of each face, equation 8.

    Args:
        errors_NK: (N, K) px from ``point_errors``, NaN where masked.
        sizes_N: (N,) px from ``face_size``.

    Returns:
        (N,) float64 ratios; NaN where the size is undefined or no landmark counts.
    """
    counted_NK = ~np.isnan(errors_NK)
    counts_N = counted_NK.sum(axis=1)
    sums_N = np.where(counted_NK, errors_NK, 0.0).sum(axis=1)
    means_N = np.divide(sums_N, counts_N, out=np.full(len(errors_NK), np.nan), where=counts_N > 0)
    return np.asarray(means_N / sizes_N)


def mean_nme(nme_N: np.ndarray) -> float:
    """Mean over the faces whose NME is defined; NaN where there is none."""
    defined = nme_N[~np.isnan(nme_N)]
    return float(defined.mean()) if len(defined) else float("nan")
