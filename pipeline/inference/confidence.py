"""Confidence: the probability that a predicted landmark is right, of its predicted covariance.

A landmark counts as right if it lies within ``TOLERANCE`` of the face's side: the longer side of the box around pupils, nose tip
and mouth corners, about the distance between the eyes. With an error e ~ N(0, T²Σ),

    P(‖e‖ ≤ r) = (2/π) ∫₀^{π/2} 1 − exp(−r² / (2T² (σ₁² cos² φ + σ₂² sin² φ))) dφ,

σ₁², σ₂² the eigenvalues of Σ: a Gaussian is a direction φ drawn evenly and a Rayleigh radius, stretched along both axes. The form
holds for covariances that are singular, too. The temperature T is fitted on held-out faces (``fit_temperature``).

A face's confidence is the mean over its landmarks: the share of them that is expected to be right, whatever their errors have in
common.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

TOLERANCE = 0.1
"""Of the face's side."""

TEMPERATURES = (0.05, 20.0)
"""Between these a temperature is looked for; outside, the covariances say nothing of the errors."""

_NODES = 64  # of the midpoint rule: below 1e-6 off for axes of 1 : 30, and 1e-3 for a segment
_CERTAIN = 1e-6  # nobody is as sure as a Gaussian's tails: bounds what one miss adds to the logarithmic loss
_BINS = 10


def variances(covariance_NK22: np.ndarray, size_N: np.ndarray) -> np.ndarray:
    """Eigenvalues of covariances in units of the face's side.

    Args:
        covariance_NK22: (N, K, 2, 2), px².
        size_N: (N,) side of each face, px.

    Returns:
        (N, K, 2), ascending; none below 0.
    """
    scaled = np.asarray(covariance_NK22, dtype=np.float64) / np.square(size_N)[:, None, None, None]
    return np.linalg.eigvalsh(scaled).clip(min=0.0)


def disc_probability(variances_N2: np.ndarray, radius: float, temperature: float = 1.0) -> np.ndarray:
    """P(‖e‖ ≤ radius) for e ~ N(0, T²Σ).

    Args:
        variances_N2: (…, 2) eigenvalues of Σ, ≥ 0.
        radius: In the unit of their root, > 0.
        temperature: T.

    Returns:
        (…,) in [0, 1]; 1 where Σ = 0.
    """
    cosine_M = np.square(np.cos((np.arange(_NODES) + 0.5) * (np.pi / 2 / _NODES)))
    first, second = np.moveaxis(np.asarray(variances_N2, dtype=np.float64), -1, 0)[..., None]
    along_NM = temperature**2 * (first * cosine_M + second * (1.0 - cosine_M))
    # An exponent of 700 is e^-700 = 0 as good as infinity, and no division by 0.
    exponent = radius**2 / (2.0 * np.maximum(along_NM, radius**2 / 1400.0))
    return np.asarray(-np.expm1(-exponent).mean(axis=-1))


def log_loss(probability_N: np.ndarray, right_N: np.ndarray) -> float:
    """Mean −ln of the probability that was given to what happened: a proper score, least for the true probabilities."""
    safe = probability_N.clip(_CERTAIN, 1.0 - _CERTAIN)
    return float(-np.where(right_N, np.log(safe), np.log1p(-safe)).mean())


def calibration_gap(probability_N: np.ndarray, right_N: np.ndarray) -> float:
    """Expected calibration error (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3).

    Over ten bins of equal width, the mean distance between the mean probability and the share that was right.
    """
    place = np.minimum((probability_N * _BINS).astype(int), _BINS - 1)
    off = np.bincount(place, weights=probability_N - right_N, minlength=_BINS)
    return float(np.abs(off).sum() / len(probability_N))


def fit_temperature(variances_N2: np.ndarray, right_N: np.ndarray, radius: float) -> float:
    """The T whose probabilities have the least logarithmic loss on held-out landmarks: the maximum likelihood of what happened.

    Args:
        variances_N2: (N, 2) eigenvalues of the predicted covariances.
        right_N: (N,) bool, whether each landmark lay within the radius.
        radius: In the unit of the variances' root.

    Returns:
        T, within ``TEMPERATURES``.
    """

    def loss(logarithm: float) -> float:
        return log_loss(disc_probability(variances_N2, radius, float(np.exp(logarithm))), right_N)

    # The loss may have two valleys where axes differ much: a coarse look at all of it finds the deeper one.
    grid = np.linspace(np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1]), 25)
    best = int(np.argmin([loss(value) for value in grid]))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
