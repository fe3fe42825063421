"""The difference of two runs on the same faces, and how far it carries over to other faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.metrics.interval import mean_interval


@dataclass(frozen=True)
class Difference:
    """A run against a baseline, per cent and percentage points of NME; positive gains are less error.

    Attributes:
        faces: With a defined error in both.
        baseline: Mean NME of the baseline on them.
        other: Mean NME of the run.
        gain: ``baseline`` less ``other``.
        interval: Of ``gain``: bootstrap over faces, 95 %, percentiles. It says whether these trainings differ on other faces of
            the same kind, not whether other trainings would (``landmarks scale`` with seeds does). None with one face.
        improved: Share of faces whose error is lower, %; ties count half.
    """

    faces: int
    baseline: float
    other: float
    gain: float
    interval: tuple[float, float] | None
    improved: float

    @property
    def relative(self) -> float:
        """The gain in per cent of the baseline's error; 0 where that has none."""
        return 100 * self.gain / self.baseline if self.baseline else 0.0

    @property
    def shown(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def paired_difference(baseline_N: np.ndarray, other_N: np.ndarray) -> Difference | None:
    """Compare two runs face by face.

    Args:
        baseline_N: NME ratios of the baseline; NaN where undefined.
        other_N: Of the other run, on the same faces in the same order.

    Returns:
        None where no face is defined in both, or a prediction is no place at all (infinite error).

    Raises:
        ValueError: Unequal lengths.
    """
    if baseline_N.shape != other_N.shape:
        raise ValueError(f"{len(baseline_N)} faces against {len(other_N)}")
    known_N = ~(np.isnan(baseline_N) | np.isnan(other_N))
    baseline_M, other_M = 100.0 * baseline_N[known_N], 100.0 * other_N[known_N]
    falls_M = baseline_M - other_M
    if not len(falls_M) or not np.isfinite(falls_M).all():
        return None
    return Difference(
        faces=len(falls_M),
        baseline=float(baseline_M.mean()),
        other=float(other_M.mean()),
        gain=float(falls_M.mean()),
        interval=mean_interval(falls_M),
        improved=100.0 * float(((falls_M > 0) + 0.5 * (falls_M == 0)).mean()),
    )
