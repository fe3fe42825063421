"""The fitted curve of a group with its uncertainty, and what it does and does not allow to be said beyond the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.studies.scaling.cells import Group, Study
from pipeline.studies.scaling.power_law import Law, fit_law, fit_laws, fixed_parameters

REPLICATES = 600
RESAMPLED_SEEDS = 10
"""From so many seeds on they are resampled; fewer give too narrow intervals (by √((n−1)/n), and no more than a
handful of distinct resamples), so errors are drawn from their estimated distribution instead."""

FURTHER = 0.01
"""The further gain whose price is asked, relative to the error at the largest N."""

LACK_OF_FIT = 0.05
"""Level of the F test of the law against free levels; beyond it nothing is extrapolated."""

Interval = tuple[float, float]
Status = Literal["fitted", "flat", "refused"]


@dataclass(frozen=True)
class Prediction:
    """Error at a number of unlabelled faces beyond the data.

    Attributes:
        unlabelled: The number.
        error: %, by the law.
        interval: 95 %, for the study's own seeds: without the luck that all N of a seed have in common, which says
            nothing about what more faces would change.
        refusal: Why it should not be used; None where it may.
    """

    unlabelled: int
    error: float
    interval: Interval
    refusal: str | None


@dataclass(frozen=True)
class Curve:
    """A group's curve.

    Attributes:
        group: Where.
        counts: Distinct numbers of unlabelled faces.
        status: ``fitted``; ``flat``, no better than a constant; ``refused``.
        reason: In words, where not fitted.
        law: The parameters; None where refused.
        fixed: Names of those that were set, not fitted.
        intervals: 95 % interval of each fitted parameter.
        drop: err(0) − err(largest N) of the law, percentage points; positive is a gain.
        drop_interval: 95 %.
        method: How the intervals were made.
        aicc: Of the law and of a constant, lower is better; None where there are too few runs.
        predictions: At twice and ten times the largest N; empty unless fitted.
        further: Unlabelled faces, beyond the largest N, for a further 1 % relative; infinite: never. None unless
            fitted well to more than three N, and falling.
        further_interval: 95 %.
        band: (N, error, low, high) along the curve, for drawing, without the luck that all N of a seed have in common;
            empty where there is no interval.
    """

    group: Group
    counts: tuple[int, ...]
    status: Status
    reason: str | None = None
    law: Law | None = None
    fixed: tuple[str, ...] = ()
    intervals: Mapping[str, Interval] | None = None
    drop: float | None = None
    drop_interval: Interval | None = None
    method: str | None = None
    aicc: tuple[float, float] | None = None
    predictions: tuple[Prediction, ...] = ()
    further: float | None = None
    further_interval: Interval | None = None
    band: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True)
class _Levels:
    """Seeds × N taken apart into levels per N and a shift per seed, by least squares."""

    counts_M: np.ndarray
    errors_SM: np.ndarray
    means_M: np.ndarray
    weights_M: np.ndarray
    squares: float
    freedom: int
    shift_error: float


def fit_curve(study: Study, group: Group, *, replicates: int = REPLICATES) -> Curve:
    """Fit a group's errors against its numbers of unlabelled faces."""
    runs = study.of_group(group)
    counts = np.array(list(runs), dtype=np.float64)
    seeds = sorted({seed for by_seed in runs.values() for seed in by_seed})
    errors = np.array(
        [[study.error(runs[n][s]) if s in runs[n] else np.nan for n in runs] for s in seeds], dtype=np.float64
    )
    return fit_errors(group, counts, errors.reshape(len(seeds), len(runs)), replicates=replicates)


def fit_errors(
    group: Group, counts_M: np.ndarray, errors_SM: np.ndarray, *, replicates: int = REPLICATES
) -> Curve:
    """The same from plain arrays.

    Args:
        group: Named in the result.
        counts_M: Distinct numbers of unlabelled faces, ascending.
        errors_SM: (seeds, M) errors, %; NaN where a run is absent.
        replicates: Number of bootstrap replicates.
    """
    counts = tuple(int(n) for n in counts_M)
    if len(counts) < 3 or counts[0] != 0:
        lacking = "no supervised run" if not counts or counts[0] != 0 else f"{len(counts)} distinct N"
        return Curve(group, counts, "refused", f"{lacking}: a saturating law needs N = 0 and two more")
    levels = _levels(counts_M, errors_SM)
    fixed = fixed_parameters(len(counts))
    law, misfit = fit_law(counts_M, levels.means_M, levels.weights_M)
    aicc = _aicc(levels, misfit, 4 - len(fixed))
    drop = float(law(0) - law(counts[-1]))
    method, drawn_BM, shifts_B = _replicate(levels, law, misfit, 4 - len(fixed), replicates)
    if drawn_BM is None:
        reason = "one seed and no point to spare: the fit has no uncertainty to judge it by"
        return Curve(group, counts, "refused", reason, law, fixed, drop=drop, aicc=aicc)
    laws = fit_laws(counts_M, drawn_BM, levels.weights_M)
    drop_interval = _interval(np.array([float(one(0) - one(counts[-1])) for one in laws]))
    flat = _flat(drop_interval, aicc)
    intervals = {
        name: _interval(np.array([getattr(one, name) for one in laws]))
        for name in ("e_0", "e_inf", "n_0", "alpha")
        if name not in fixed
    }
    fitted = Curve(
        group, counts, "flat" if flat else "fitted", flat, law, fixed, intervals, drop, drop_interval
    )
    fitted = replace(fitted, method=method, aicc=aicc, band=_band(law, laws, shifts_B, counts))
    if flat:
        return fitted
    doubt = _doubt(levels, misfit, fixed)
    predictions = tuple(
        _prediction(law, laws, shifts_B, factor * counts[-1], abs(drop), doubt) for factor in (2, 10)
    )
    if drop <= 0 or doubt:
        return replace(fitted, predictions=predictions)
    prices = _interval(np.array([_price(one, counts[-1]) for one in laws]))
    return replace(fitted, predictions=predictions, further=_price(law, counts[-1]), further_interval=prices)


def _levels(counts_M: np.ndarray, errors_SM: np.ndarray) -> _Levels:
    seeds, sizes = errors_SM.shape
    rows, columns = np.nonzero(np.isfinite(errors_SM))
    # Columns: a level per N, then a shift per seed but the last; shifts sum to zero.
    shift = np.eye(seeds)[:, : seeds - 1] - np.eye(seeds)[:, -1:]
    design = np.hstack([np.eye(sizes)[columns], shift[rows]])
    values = errors_SM[rows, columns]
    solution, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    squares = float(((values - design @ solution) ** 2).sum())
    shifts = shift @ solution[sizes:]
    spread = float(np.std(shifts, ddof=1)) / np.sqrt(seeds) if seeds > 1 else 0.0
    weights = np.isfinite(errors_SM).sum(axis=0).astype(np.float64)
    return _Levels(
        counts_M, errors_SM, solution[:sizes], weights, squares, len(values) - int(rank), float(spread)
    )


def _replicate(
    levels: _Levels, law: Law, misfit: float, free: int, replicates: int
) -> tuple[str, np.ndarray | None, np.ndarray]:
    """Mean errors as other seeds might have given them.

    Returns:
        How they were made; (replicates, M), None where there is nothing to go by; and (replicates,) the shift in them
        that all N have in common.
    """
    rng = np.random.default_rng(0)  # the same study gives the same intervals
    seeds, sizes = levels.errors_SM.shape
    if seeds >= RESAMPLED_SEEDS and np.isfinite(levels.errors_SM).all():
        chosen = rng.integers(0, seeds, (replicates, seeds))
        drawn_BM = levels.errors_SM[chosen].mean(axis=1)
        shifts_B = (drawn_BM - levels.errors_SM.mean(axis=0)).mean(axis=1)
        return "bootstrap over seeds, all N of a seed together", drawn_BM, shifts_B
    squares, freedom = levels.squares, levels.freedom
    method = "parametric bootstrap from the scatter of the seeds"
    if freedom <= 0:
        squares, freedom = misfit, sizes - free
        method = "parametric bootstrap from the points' distances to the curve (one seed)"
        if freedom <= 0:
            return method, None, np.zeros(replicates)
    # The variance is itself an estimate: drawing it too gives replicates Student's tails, not the normal's.
    variance_B = squares / rng.chisquare(freedom, replicates)
    noise_BM = rng.standard_normal((replicates, sizes)) / np.sqrt(levels.weights_M)
    shifts_B = levels.shift_error * rng.standard_t(max(1, seeds - 1), replicates)
    drawn_BM = law(levels.counts_M) + shifts_B[:, None] + noise_BM * np.sqrt(variance_B)[:, None]
    return method, drawn_BM, shifts_B


def _aicc(levels: _Levels, misfit: float, free: int) -> tuple[float, float] | None:
    """Of the law and a constant, on all runs, each seed with a shift of its own."""
    mean = np.average(levels.means_M, weights=levels.weights_M)
    apart = float(levels.weights_M @ (levels.means_M - mean) ** 2)
    runs = int(levels.weights_M.sum())
    floor = 1e-12 * float(mean**2) * runs  # noiseless data

    def score(squares: float, parameters: int) -> float:
        k = parameters + len(levels.errors_SM)  # the seeds' shifts, less one, and the variance
        if runs - k - 1 <= 0:
            return float("inf")
        return runs * float(np.log(max(squares, floor) / runs)) + 2 * k * runs / (runs - k - 1)

    scores = score(levels.squares + misfit, free), score(levels.squares + apart, 1)
    return None if np.isinf(scores).any() else scores


def _flat(drop: Interval, aicc: tuple[float, float] | None) -> str | None:
    """Why the curve is flat, in words; None where it is not."""
    if drop[0] <= 0 <= drop[1]:
        low, high = (f"{-x:+.2f}".replace("-", "−") for x in reversed(drop))
        return f"cannot be told from flat (change by the largest number: 95 % CI {low} to {high} points)"
    if aicc is not None and aicc[0] >= aicc[1]:
        return f"cannot be told from flat (a constant has the better AICc by {aicc[0] - aicc[1]:.1f})"
    return None


def _interval(values: np.ndarray) -> Interval:
    ordered = np.sort(values)  # of values that may be infinite, so never interpolated
    return float(ordered[int(0.025 * len(ordered))]), float(
        ordered[min(int(0.975 * len(ordered)), len(ordered) - 1)]
    )


def _price(law: Law, largest: int) -> float:
    # From the law's own error: the question is the price of the next 1 %, not of reaching a fixed error.
    if law.e_inf >= law.e_0:
        return float("inf")
    return law.count_for((1 - FURTHER) * float(law(largest))) - largest


def _doubt(levels: _Levels, misfit: float, fixed: tuple[str, ...]) -> str | None:
    """Why the law's shape cannot be trusted beyond the data, whatever its intervals, which take it for true."""
    from scipy import stats

    if "n_0" in fixed:
        return "three numbers of unlabelled faces do not show how the curve bends"
    spare = len(levels.counts_M) - (4 - len(fixed))
    if spare > 0 and levels.freedom > 0 and levels.squares > 0:
        ratio = (misfit / spare) / (levels.squares / levels.freedom)
        if stats.f.sf(ratio, spare, levels.freedom) < LACK_OF_FIT:
            return "the law misses the points by more than the seeds' scatter"
    return None


def _prediction(
    law: Law, laws: list[Law], shifts_B: np.ndarray, count: int, drop: float, doubt: str | None
) -> Prediction:
    interval = _interval(np.array([float(one(count)) for one in laws]) - shifts_B)
    width, refusal = interval[1] - interval[0], doubt
    if refusal is None and width > drop:
        refusal = f"its interval, {width:.2f} points wide, is wider than all the change measured ({drop:.2f})"
    return Prediction(count, float(law(count)), interval, refusal)


def _band(
    law: Law, laws: list[Law], shifts_B: np.ndarray, counts: tuple[int, ...]
) -> tuple[tuple[float, float, float, float], ...]:
    grid = np.unique(np.concatenate([[0.0], np.geomspace(counts[1] / 20, counts[-1], 60), counts]))
    curves = np.array([one(grid) for one in laws]) - shifts_B[:, None]
    low_high = [_interval(column) for column in curves.T]
    return tuple(
        (float(n), float(e), low, high) for n, e, (low, high) in zip(grid, law(grid), low_high, strict=True)
    )
