"""Cumulative error distribution (CED), failure rate and area under the CED.

One convention joins the three: CED(e) is the share of faces with NME ≤ e (UGLLI section 5), and a face fails
at θ when its NME is **strictly** greater (ADNet 4.1, Wasserstein 4.3, Rayhan 4.1), so FR(θ) = 1 − CED(θ) and
a face exactly at θ is a success.

Values are ratios. Faces whose NME is NaN (undefined size) are in neither numerator nor denominator; callers
report how many.
"""

from __future__ import annotations

import numpy as np

THRESHOLDS_PERCENT: tuple[float, ...] = (5, 7, 8, 10, 15, 20)
"""Thresholds in use: ADNet 5 % (300-W test) and 10 % (WFLW, COFW), UGLLI 7 %, Rayhan 8 and 10 %, Yan et al. 8 to 20 %."""


def _defined(nme_N: np.ndarray) -> np.ndarray:
    errors = np.asarray(nme_N, dtype=np.float64).ravel()
    return errors[~np.isnan(errors)]


def _check(threshold: float) -> None:
    if not threshold > 0:
        raise ValueError(f"threshold {threshold} is not positive: give a ratio, e.g. 0.08 for 8 %")


def failure_rate(nme_N: np.ndarray, threshold: float) -> float:
    """Share of faces with NME strictly greater than the threshold (FR, image-wise FR^I of Yan et al.).

    Args:
        nme_N: (N,) NME ratios.
        threshold: θ as a ratio, e.g. 0.08.

    Returns:
        In [0, 1]; NaN where no face is defined.

    Raises:
        ValueError: The threshold is not positive.
    """
    _check(threshold)
    errors = _defined(nme_N)
    return float((errors > threshold).mean()) if len(errors) else float("nan")


def landmark_failure_rate(nme_NK: np.ndarray, threshold: float) -> float:
    """Landmark-wise failure rate FR^L (Yan et al., Pattern Recognition 2021, section 4.3).

    For each landmark the share of faces on which its own normalised error is strictly greater than the
    threshold, then the mean over landmarks. It sees the single stray landmark that a face's mean hides.

    Args:
        nme_NK: (N, K) each landmark's error over its face's size, NaN where it does not count.
        threshold: θ as a ratio.

    Returns:
        In [0, 1]; NaN where nothing counts.

    Raises:
        ValueError: The threshold is not positive.
    """
    _check(threshold)
    errors = np.asarray(nme_NK, dtype=np.float64)
    counts_K = (~np.isnan(errors)).sum(axis=0)
    failures_K = (errors > threshold).sum(axis=0)  # NaN compares False
    seen = counts_K > 0
    return float((failures_K[seen] / counts_K[seen]).mean()) if seen.any() else float("nan")


def auc(nme_N: np.ndarray, threshold: float) -> float:
    """Area under the CED from 0 to the threshold, divided by the threshold: exact, no grid.

    The CED is a step function, each face contributing a step of 1/N at its NME e, so the integral is
    1/N · Σ max(0, θ − e). Published tools integrate a sampled CED; they differ in the last digit by their
    grid.

    Args:
        nme_N: (N,) NME ratios.
        threshold: θ as a ratio.

    Returns:
        In [0, 1], 1 is perfect; NaN where no face is defined.

    Raises:
        ValueError: The threshold is not positive.
    """
    _check(threshold)
    errors = _defined(nme_N)
    return float(np.clip(1.0 - errors / threshold, 0.0, 1.0).mean()) if len(errors) else float("nan")


def ced_curve(nme_N: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """The CED as the vertices of a right-continuous step function on [0, limit].

    Args:
        nme_N: (N,) NME ratios.
        limit: Right end, as a ratio.

    Returns:
        Errors (M,), ascending from 0 to ``limit``, and the share of faces with NME ≤ each (M,). Draw with
        steps "post".

    Raises:
        ValueError: The limit is not positive, or no face is defined.
    """
    _check(limit)
    errors = np.sort(_defined(nme_N))
    if not len(errors):
        raise ValueError("no face has a defined NME: there is no curve to draw")
    vertices = np.unique(np.concatenate([[0.0], errors[errors <= limit], [limit]]))
    return vertices, np.searchsorted(errors, vertices, side="right") / len(errors)


def landmark_ced_curve(nme_NK: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """The landmark-wise CED, 1 − FR^L at every threshold (Yan et al., section 4.3): the mean over landmarks of each one's CED.

    Args:
        nme_NK: (N, K) each landmark's error over its face's size, NaN where it does not count.
        limit: Right end, as a ratio.

    Returns:
        As ``ced_curve``: errors (M,), and the mean share of faces on which a landmark's error is ≤ each.

    Raises:
        ValueError: The limit is not positive, or nothing counts.
    """
    _check(limit)
    counts_K = (~np.isnan(nme_NK)).sum(axis=0)
    seen_K = counts_K > 0
    if not seen_K.any():
        raise ValueError("no landmark has a defined error: there is no curve to draw")
    # Every landmark weighs the same, however many faces show it.
    weight_NK = np.broadcast_to(1 / np.where(seen_K, counts_K, 1) / seen_K.sum(), nme_NK.shape)
    inside_NK = nme_NK <= limit  # NaN compares False
    order = np.argsort(nme_NK[inside_NK], kind="stable")
    errors = nme_NK[inside_NK][order]
    shares = np.cumsum(weight_NK[inside_NK][order])
    vertices = np.unique(np.concatenate([[0.0], errors, [limit]]))
    below = np.searchsorted(errors, vertices, side="right")
    return vertices, np.concatenate([[0.0], shares])[below]
