"""Scatter of heatmaps: how concentrated a network's answer is, in pixels.

Robinson et al. (ICCV 2019) measure the spread of each landmark's heatmap about its mean (the scale τ of
section 3.1) and report the mean over landmarks and faces: 1.02 px for LaplaceKL+D against 2.59 px for
softargmax+D. That number is in pixels of the network's input grid and depends on its size, so the same
scatter in pixels of the original image stands beside it.
"""

from __future__ import annotations

import numpy as np


def in_original(scatter_NK: np.ndarray, scale_N: np.ndarray) -> np.ndarray:
    """Scatter in pixels of the original images.

    Args:
        scatter_NK: (N, K) px of the network's input grid.
        scale_N: (N,) network px per original px.

    Returns:
        (N, K) float64 px.

    Raises:
        ValueError: A scale is not positive and finite.
    """
    scale = np.asarray(scale_N, dtype=np.float64)
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError("a crop's scale (network px per original px) is not positive and finite")
    return np.asarray(scatter_NK, dtype=np.float64) / scale[:, None]


def mean_scatter(scatter_NK: np.ndarray, mask_NK: np.ndarray) -> float:
    """Mean over all counted landmarks of all faces, px of the input's grid; NaN where nothing counts."""
    counted = np.asarray(scatter_NK, dtype=np.float64)[np.asarray(mask_NK, dtype=bool)]
    return float(counted.mean()) if len(counted) else float("nan")


def scatter_per_landmark(scatter_NK: np.ndarray, mask_NK: np.ndarray) -> np.ndarray:
    """(K,) mean over the faces on which the landmark counts; NaN where it never does."""
    mask = np.asarray(mask_NK, dtype=bool)
    counts_K = mask.sum(axis=0)
    sums_K = np.where(mask, np.asarray(scatter_NK, dtype=np.float64), 0.0).sum(axis=0)
    return np.divide(sums_K, counts_K, out=np.full(mask.shape[1], np.nan), where=counts_K > 0)
