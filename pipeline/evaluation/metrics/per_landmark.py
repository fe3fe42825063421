"""Errors by place on the face: the mean per landmark and per curve of the markup.

Both in the papers' unit (error over face size) and in pixels of the original image. A curve's value is the
mean over all its counted (face, landmark) pairs, so that a landmark seen on few faces weighs little.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.markup import Markup

OTHER = "other"
"""Group of the landmarks that lie on no curve."""


def mean_per_landmark(errors_NK: np.ndarray) -> np.ndarray:
    """Mean over faces.

    Args:
        errors_NK: (N, K) errors in any unit, NaN where a landmark does not count.

    Returns:
        (K,) float64 in the same unit; NaN where a landmark never counts.
    """
    counts_K = count_per_landmark(errors_NK)
    return np.divide(
        np.nansum(errors_NK, axis=0), counts_K, out=np.full(len(counts_K), np.nan), where=counts_K > 0
    )


def count_per_landmark(errors_NK: np.ndarray) -> np.ndarray:
    """(K,) int: on how many faces each landmark counts."""
    return np.asarray((~np.isnan(errors_NK)).sum(axis=0))


def curve_groups(markup: Markup) -> Mapping[str, tuple[int, ...]]:
    """Curve name → its landmarks, in the markup's order; ``other`` holds those on no curve, if any."""
    groups = {curve.name: tuple(dict.fromkeys(curve.indices)) for curve in markup.curves}
    on_curves = {index for indices in groups.values() for index in indices}
    rest = tuple(index for index in range(markup.num_landmarks) if index not in on_curves)
    return {**groups, OTHER: rest} if rest else groups


def mean_per_curve(errors_NK: np.ndarray, markup: Markup) -> dict[str, float]:
    """Mean over all counted (face, landmark) pairs of each curve.

    Args:
        errors_NK: (N, K) errors in any unit, NaN where a landmark does not count.
        markup: Names the curves.

    Returns:
        Curve name → mean in the same unit; NaN where nothing of the curve counts.

    Raises:
        ValueError: K is not the markup's.
    """
    if errors_NK.shape[1] != markup.num_landmarks:
        raise ValueError(
            f"{errors_NK.shape[1]} landmarks, but markup '{markup.name}' has {markup.num_landmarks}"
        )
    means: dict[str, float] = {}
    for name, indices in curve_groups(markup).items():
        values = errors_NK[:, list(indices)]
        counted = values[~np.isnan(values)]
        means[name] = float(counted.mean()) if len(counted) else float("nan")
    return means
