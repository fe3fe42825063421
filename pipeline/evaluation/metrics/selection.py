"""What is gained by leaving out what a model is least sure of: risk–coverage, sparsification and reject curves.

- **Risk–coverage** (El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 11, 2010): the mean
  error of the surest share of the faces, against that share. Its mean over all shares is AURC (Geifman and El-Yaniv, ICLR 2019).
- **Sparsification** (Ilg et al., "Uncertainty Estimates and Multi-Hypotheses Networks for Optical Flow", ECCV 2018): the same
  against an oracle that leaves out by the error itself; the mean distance of the two, over the mean error of all, is AUSE: 0 for
  an order that is the errors' own, more for a random one.
- **Reject curve**: the share of the failures (errors above θ) that is among the least sure, against the share rejected; a random
  order finds as many as it rejects.

Faces whose error or uncertainty is NaN are left out of all.
"""

from __future__ import annotations

import numpy as np


def risk_coverage(error_N: np.ndarray, uncertainty_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean error of the surest faces.

    Args:
        error_N: In any unit.
        uncertainty_N: In any unit; larger is less sure. Faces of one uncertainty come in their mean error, whatever their order.

    Returns:
        Coverage (M,), 1/M … 1, and the mean error of this share of the M faces.

    Raises:
        ValueError: No face has both.
    """
    errors = _by_uncertainty(error_N, uncertainty_N)[0]
    counts = np.arange(1, len(errors) + 1)
    return counts / len(errors), np.cumsum(errors) / counts


def oracle(error_N: np.ndarray, uncertainty_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Risk–coverage of the errors' own order, on the faces of ``risk_coverage``."""
    errors = _by_uncertainty(error_N, uncertainty_N)[1]
    return risk_coverage(errors, errors)


def area_under_risk(error_N: np.ndarray, uncertainty_N: np.ndarray) -> float:
    """AURC, in the error's unit: the mean of the risk over all coverages; NaN where no face has both."""
    if not _both(error_N, uncertainty_N).any():
        return float("nan")
    return float(risk_coverage(error_N, uncertainty_N)[1].mean())


def sparsification_error(error_N: np.ndarray, uncertainty_N: np.ndarray) -> float:
    """AUSE, over the mean error of all; NaN where no face has both, or none has an error."""
    both_N = _both(error_N, uncertainty_N)
    mean = float(error_N[both_N].mean()) if both_N.any() else 0.0
    if not mean > 0:
        return float("nan")
    own, best = risk_coverage(error_N, uncertainty_N)[1], oracle(error_N, uncertainty_N)[1]
    return float((own - best).mean() / mean)


def risk_at(error_N: np.ndarray, uncertainty_N: np.ndarray, coverage: float) -> float:
    """Mean error of the surest share, at least one face; NaN where no face has both."""
    if not _both(error_N, uncertainty_N).any():
        return float("nan")
    risk = risk_coverage(error_N, uncertainty_N)[1]
    return float(risk[max(round(coverage * len(risk)), 1) - 1])


def failures_found(
    error_N: np.ndarray, uncertainty_N: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Failures among the least sure faces.

    Args:
        error_N: Ratios.
        uncertainty_N: See ``risk_coverage``.
        threshold: θ, a ratio; a face fails strictly above.

    Returns:
        Share rejected (M + 1,), 0 … 1, and the share of all failures in it.

    Raises:
        ValueError: No face has both, or none fails.
    """
    both_N = _both(error_N, uncertainty_N)
    failed = (error_N[both_N] > threshold).astype(np.float64)
    if not failed.any():
        raise ValueError(f"no face has an error above {threshold}: there is no failure to find")
    rejected = _by_uncertainty(failed, uncertainty_N[both_N])[0][::-1]
    found = np.concatenate([[0.0], np.cumsum(rejected)]) / failed.sum()
    return np.linspace(0, 1, len(found)), found


def _both(error_N: np.ndarray, uncertainty_N: np.ndarray) -> np.ndarray:
    return np.asarray(np.isfinite(error_N) & np.isfinite(uncertainty_N))


def _by_uncertainty(error_N: np.ndarray, uncertainty_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The errors, surest first, those of one uncertainty replaced by their mean; and as they are."""
    both_N = _both(error_N, uncertainty_N)
    if not both_N.any():
        raise ValueError("no face has an error and an uncertainty")
    errors, uncertainties = error_N[both_N], uncertainty_N[both_N]
    _, group, counts = np.unique(uncertainties, return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=errors) / counts
    return means[np.sort(group)], errors
