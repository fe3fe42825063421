"""How far a mean over faces carries over to other faces like them: a bootstrap interval."""

from __future__ import annotations

import numpy as np

LEVEL = 0.95
_RESAMPLES = 2000
_BATCH_NUMBERS = 2**24  # held at once


def mean_interval(values_N: np.ndarray) -> tuple[float, float] | None:
    """Bootstrap over faces, 95 %, percentiles; the same faces give the same interval.

    Args:
        values_N: Finite.

    Returns:
        None for fewer than two, which do not say how far faces differ.
    """
    from scipy import stats

    if len(values_N) < 2:
        return None
    low, high = stats.bootstrap(
        (values_N,),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=max(1, _BATCH_NUMBERS // len(values_N)),
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(low), float(high)
