"""Does a model know when it errs, and by how much: predicted covariances beside the errors.

Kumar et al., "UGLLI Face Alignment", ICCVW 2019, section 5: the scalar uncertainty |Σ|^{1/4} over the face's
size against the normalised error, one point per landmark of an image or per image (means over its
landmarks), and the Pearson correlation over the points. A correlation says whether the unsure landmarks are
the wrong ones; whether σ has the right length is calibration: for Gaussian errors the squared Mahalanobis
distance eᵀΣ⁻¹e is χ² with two degrees of freedom, P(χ² ≤ q) = 1 − exp(−q/2), so a share p of the landmarks
must lie within −2 ln(1 − p).

Shapes: N faces, K landmarks, covariances (N, K, 2, 2) with axes (x, y). A landmark whose mask is False is
never read and becomes NaN, which all means and shares pass over.
"""

from __future__ import annotations

import math

import numpy as np

SINGULAR = 1e-6
"""Smallest over largest variance of an ellipse at which float32 no longer tells its width from 0."""
_CONSTANT = 1e-12
"""Deviation over size below which values differ by rounding alone."""


def spread(covariance_NK22: np.ndarray, mask_NK: np.ndarray) -> np.ndarray:
    """|Σ|^{1/4}: the geometric mean of an ellipse's two standard deviations.

    Args:
        covariance_NK22: (N, K, 2, 2) px², positive semidefinite.
        mask_NK: (N, K) bool, True where the landmark counts.

    Returns:
        (N, K) float64 px; NaN where masked.
    """
    root = np.clip(_determinant(covariance_NK22), 0.0, None) ** 0.25
    return np.where(np.asarray(mask_NK, dtype=bool), root, np.nan)


def singular(covariance_NK22: np.ndarray) -> np.ndarray:
    """(N, K) bool: the ellipse is a segment or a point, as far as float32 can tell."""
    wide = np.asarray(covariance_NK22, dtype=np.float64)
    return np.asarray(_determinant(wide) <= SINGULAR * np.trace(wide, axis1=-2, axis2=-1) ** 2)


def mahalanobis_squared(
    error_NK2: np.ndarray, covariance_NK22: np.ndarray, mask_NK: np.ndarray
) -> np.ndarray:
    """eᵀΣ⁻¹e.

    Args:
        error_NK2: (N, K, 2) predicted minus true landmark, (x, y) in any unit.
        covariance_NK22: (N, K, 2, 2) in that unit squared.
        mask_NK: (N, K) bool, True where the landmark counts.

    Returns:
        (N, K) float64; NaN where masked; infinite where Σ is singular and there is an error at all: a model
        that claims certainty and is wrong.
    """
    x, y = np.moveaxis(np.asarray(error_NK2, dtype=np.float64), -1, 0)
    wide = np.asarray(covariance_NK22, dtype=np.float64)
    flat = singular(wide)
    adjugate = wide[..., 1, 1] * x**2 - 2 * wide[..., 0, 1] * x * y + wide[..., 0, 0] * y**2
    inside = np.clip(adjugate, 0.0, None) / np.where(flat, 1.0, _determinant(wide))
    values = np.where(flat, np.where((x == 0) & (y == 0), 0.0, np.inf), inside)
    return np.where(np.asarray(mask_NK, dtype=bool), values, np.nan)


def coverage(squared_NK: np.ndarray, level: float) -> float:
    """Share of landmarks within the ellipse that ought to hold a share ``level``; NaN where nothing counts.

    Args:
        squared_NK: Squared Mahalanobis distances, NaN where masked.
        level: In (0, 1).

    Raises:
        ValueError: The level is not in (0, 1).
    """
    distances = _counted(squared_NK)
    return float((distances <= chi_square_quantile(level)).mean()) if len(distances) else float("nan")


def chi_square_quantile(level: float) -> float:
    """Value below which a χ² of two degrees of freedom lies with probability ``level``, −2 ln(1 − level).

    Raises:
        ValueError: The level is not in (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level} is not between 0 and 1: give a share, e.g. 0.9")
    return -2.0 * math.log1p(-level)


def distance_quantile(squared_NK: np.ndarray, level: float) -> float:
    """Squared Mahalanobis distance within which a share ``level`` of the landmarks lies; NaN where nothing counts."""
    distances = _counted(squared_NK)
    # "Higher" is one of the values: an interpolation would meet infinity.
    return float(np.quantile(distances, level, method="higher")) if len(distances) else float("nan")


def calibration_curve(squared_NK: np.ndarray, points: int = 101) -> tuple[np.ndarray, np.ndarray]:
    """Share of landmarks within each ellipse against the share that ought to be.

    Args:
        squared_NK: Squared Mahalanobis distances, NaN where masked.
        points: How many levels, evenly from 0 to 1.

    Returns:
        Levels (M,) and observed shares (M,); 1 is the whole plane and always holds all.

    Raises:
        ValueError: Nothing counts.
    """
    distances = np.sort(_counted(squared_NK))
    if not len(distances):
        raise ValueError("no landmark counts: there is no calibration to draw")
    levels = np.linspace(0.0, 1.0, points)
    quantiles = np.append(-2.0 * np.log1p(-levels[:-1]), np.inf)
    return levels, np.searchsorted(distances, quantiles, side="right") / len(distances)


def gaussian_nll(error_NK2: np.ndarray, covariance_NK22: np.ndarray, mask_NK: np.ndarray) -> float:
    """Mean negative log-likelihood ½ ln|Σ| + ½ eᵀΣ⁻¹e + ln 2π of the true landmarks; the lower the better.

    Twice it, less 2 ln 2π, is the loss of UGLLI, equation 2. It depends on the unit: compare only values in
    one.

    Args:
        error_NK2: (N, K, 2) predicted minus true landmark, (x, y) in any unit.
        covariance_NK22: (N, K, 2, 2) in that unit squared.
        mask_NK: (N, K) bool, True where the landmark counts.

    Returns:
        Nats per landmark; NaN where nothing counts. Singular covariances have no density and are left out.
    """
    counted = np.asarray(mask_NK, dtype=bool) & ~singular(covariance_NK22)
    if not counted.any():
        return float("nan")
    squared = mahalanobis_squared(error_NK2, covariance_NK22, counted)[counted]
    logarithm = np.log(_determinant(covariance_NK22)[counted])
    return float((0.5 * (logarithm + squared)).mean() + math.log(2 * math.pi))


def mean_per_face(values_NK: np.ndarray) -> np.ndarray:
    """(N,) mean over a face's counted landmarks; NaN where none counts."""
    counted = ~np.isnan(values_NK)
    counts = counted.sum(axis=1)
    sums = np.where(counted, values_NK, 0.0).sum(axis=1)
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation over the pairs in which both are finite; NaN for fewer than two or a constant."""
    x, y = _pairs(first, second)
    if len(x) < 2:
        return float("nan")
    units = []
    for values in (x, y):
        centred = values - values.mean()
        length = np.linalg.norm(centred)
        if length <= _CONSTANT * np.linalg.norm(values):
            return float("nan")
        units.append(centred / length)
    return float(np.clip(units[0] @ units[1], -1.0, 1.0))


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's rank correlation, ties at their mean rank, over the pairs in which both are finite."""
    x, y = _pairs(first, second)
    return pearson(_ranks(x), _ranks(y))


def _pairs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.asarray(values, dtype=np.float64).ravel() for values in (first, second))
    both = np.isfinite(x) & np.isfinite(y)
    return x[both], y[both]


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])


def _counted(squared_NK: np.ndarray) -> np.ndarray:
    values = np.asarray(squared_NK, dtype=np.float64).ravel()
    return values[~np.isnan(values)]


def _determinant(covariance_NK22: np.ndarray) -> np.ndarray:
    wide = np.asarray(covariance_NK22, dtype=np.float64)
    return np.asarray(wide[..., 0, 0] * wide[..., 1, 1] - wide[..., 0, 1] * wide[..., 1, 0])
