"""The gain from unlabelled faces: paired differences from the supervised runs, and whether they could be luck.

A training has luck of its own (initialisation, order, which faces the subset holds), so the units of the test are
trainings, not test faces: thousands of faces cannot tell one lucky run from a better recipe. Runs of one seed share
subset and initialisation, hence the pairs.

**The test.** d_i = error(supervised, seed i) − error(semi-supervised, seed i), per cent points, positive is a gain.
The mean of d is referred to Student's t with the variance of d **pooled over the numbers of unlabelled faces of one
group**: m of them with n_i seeds. They share their supervised runs, which correlates them (ρ = ½ for equal variances),
so the pooled variance has Σ(n_i − 1) / (1 + (m − 1)ρ²) degrees of freedom (Box, Ann. Math. Statist. 25, 1954,
theorem 3.1), not Σ(n_i − 1). For m = 1 it is the ordinary paired t test.

Why not pooled over the whole study: label budgets, methods and widths differ in how much luck matters. Simulated with
three seeds, four groups and no gain at all, pooling over groups whose spreads differ by a factor of three found
"gains" in 15 % (and up to 20 %) of the comparisons of the noisier groups instead of 5 %; this test stays at 4–6 %, also
where supervised runs scatter twice as much as the others. Empirical-Bayes shrinkage (Smyth 2004) gave 11–15 %.

p values are corrected over all comparisons of a study by Holm (Scand. J. Statist. 6, 1979), which is valid under any
dependence. Confidence intervals are each its own, 95 %, not corrected.

**Test faces** answer another question, whether these trainings' difference carries over to other faces: the
Wilcoxon signed-rank test on per-face errors averaged over the seeds. It says nothing about another training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.studies.scaling.cells import CellResult, Group, Study

ALPHA = 0.05
"""Two-sided level of every test here; intervals hold 1 − ALPHA."""

POWER = 0.8
"""With which the smallest detectable gain would be detected."""

_SHARED = 0.5
"""Correlation of two differences from the same supervised run."""

Verdict = Literal["gain", "harm", "not shown", "not tested"]


@dataclass(frozen=True)
class FaceView:
    """Whether a difference carries over the test faces; not over trainings.

    Attributes:
        improved: Share of faces whose error fell, %; ties count half.
        median: Median fall of a face's error, percentage points.
        p: Wilcoxon signed-rank, two-sided; None where no face changed.
    """

    improved: float
    median: float
    p: float | None


@dataclass(frozen=True)
class Comparison:
    """One number of unlabelled faces against none. Errors in per cent, gains in percentage points.

    Attributes:
        group: Where.
        unlabelled: Number of unlabelled faces.
        seeds: Those with both runs.
        supervised: Mean error without unlabelled faces, over these seeds.
        semi_supervised: Mean error with them.
        gains: Fall of the error, seed by seed.
        gain: Their mean; positive is better.
        relative: The same in per cent of the supervised error.
        interval: Confidence interval of ``gain``; None with a single seed.
        relative_interval: The same over the supervised error, which it takes as known.
        deviation: Pooled standard deviation of a seed's difference; None with single seeds.
        freedom: Degrees of freedom of it.
        p: Two-sided, of this comparison alone; None where it cannot be tested.
        corrected_p: After Holm over all comparisons of the study; what the verdict rests on.
        detectable: Smallest true gain this many seeds would show, with power ``POWER`` after correction.
        faces: The face-level view.
        time: Wall time of a training over that of the supervised one, medians.
        verdict: ``gain``, ``harm``, ``not shown`` or ``not tested``.
    """

    group: Group
    unlabelled: int
    seeds: tuple[int, ...]
    supervised: float
    semi_supervised: float
    gains: tuple[float, ...]
    gain: float
    relative: float
    interval: tuple[float, float] | None
    relative_interval: tuple[float, float] | None
    deviation: float | None
    freedom: float
    p: float | None
    corrected_p: float | None
    detectable: float | None
    faces: FaceView
    time: float
    verdict: Verdict


@dataclass(frozen=True)
class _Pairs:
    group: Group
    unlabelled: int
    supervised: list[CellResult]
    others: list[CellResult]
    gains: np.ndarray


def compare(study: Study) -> tuple[Comparison, ...]:
    """Every number of unlabelled faces against none, in the order of ``study.groups``; pairs without runs are left out."""
    families = [pairs for group in study.groups if (pairs := _pairs(study, group))]
    spreads = [pooled([p.gains for p in family]) for family in families]
    flat = [(pairs, *spread) for family, spread in zip(families, spreads, strict=True) for pairs in family]
    alone = [_p(pairs.gains, deviation, freedom) for pairs, deviation, freedom in flat]
    tested = [p for p in alone if p is not None]
    corrected = iter(holm(tested))
    return tuple(
        _comparison(study, *entry, p, None if p is None else next(corrected), len(tested))
        for entry, p in zip(flat, alone, strict=True)
    )


def _pairs(study: Study, group: Group) -> list[_Pairs]:
    by_count = study.of_group(group)
    without = by_count.pop(0, {})
    found = []
    for count, runs in by_count.items():
        seeds = sorted(set(without) & set(runs))
        if seeds:
            supervised, others = [without[s] for s in seeds], [runs[s] for s in seeds]
            gains = np.array(
                [study.error(a) - study.error(b) for a, b in zip(supervised, others, strict=True)]
            )
            found.append(_Pairs(group, count, supervised, others, gains))
    return found


def pooled(differences: Sequence[np.ndarray]) -> tuple[float | None, float]:
    """Standard deviation pooled over comparisons that share their supervised runs, and its degrees of freedom.

    Args:
        differences: One array of paired differences per comparison; those of a single seed say nothing.

    Returns:
        Deviation and degrees of freedom; None and 0 where no comparison has two seeds, or nothing varies.
    """
    useful = [d for d in differences if len(d) > 1]
    nominal = sum(len(d) - 1 for d in useful)
    if not nominal:
        return None, 0.0
    deviation = float(np.sqrt(sum(((d - d.mean()) ** 2).sum() for d in useful) / nominal))
    if deviation == 0:  # copies of one run, not trainings
        return None, 0.0
    return deviation, nominal / (1 + (len(useful) - 1) * _SHARED**2)


def _p(gains: np.ndarray, deviation: float | None, freedom: float) -> float | None:
    from scipy import stats

    # A single pair could borrow the group's spread; one training remains one training, so it is not tested.
    if deviation is None or len(gains) < 2:
        return None
    t = float(gains.mean()) / (deviation / np.sqrt(len(gains)))
    return float(2 * stats.t.sf(abs(t), freedom))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p values, in their order."""
    corrected, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(np.argsort(p, kind="stable")):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = highest
    return corrected


def detectable(error: float, freedom: float, tests: int = 1) -> float:
    """Smallest true mean that a two-sided t test finds with probability ``POWER``.

    Args:
        error: Standard error of the mean, expected.
        freedom: Its degrees of freedom.
        tests: How many the level is shared by (the first, hardest step of Holm's correction).

    Returns:
        In the unit of ``error``.
    """
    from scipy import optimize, stats

    critical = stats.t.isf(ALPHA / tests / 2, freedom)
    # The noncentral t as a normal over χ quantiles: scipy's own loses its digits at one degree of freedom.
    chi = np.sqrt(stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, freedom) / freedom)

    def shortfall(effect: float) -> float:
        return float(stats.norm.sf(critical * chi - effect).mean()) - POWER

    return float(error * optimize.brentq(shortfall, 0.0, 10 * critical + 10))


def face_view(supervised: np.ndarray, semi_supervised: np.ndarray) -> FaceView:
    """How the faces fared.

    Args:
        supervised: (seeds, faces) errors, %.
        semi_supervised: The same with unlabelled faces.
    """
    from scipy import stats

    falls = supervised.mean(axis=0) - semi_supervised.mean(axis=0)
    p = None
    if np.any(falls):
        p = float(stats.wilcoxon(falls, zero_method="pratt").pvalue)
    improved = 100.0 * float(((falls > 0) + 0.5 * (falls == 0)).mean())
    return FaceView(improved, float(np.median(falls)), p)


def _comparison(
    study: Study,
    pairs: _Pairs,
    deviation: float | None,
    freedom: float,
    p: float | None,
    corrected: float | None,
    tests: int,
) -> Comparison:
    from scipy import stats

    supervised = float(np.mean([study.error(r) for r in pairs.supervised]))
    gain = float(pairs.gains.mean())
    interval = relative_interval = smallest = None
    if deviation is not None and p is not None:
        error = deviation / float(np.sqrt(len(pairs.gains)))
        half = float(stats.t.isf(ALPHA / 2, freedom)) * error
        interval = (gain - half, gain + half)
        relative_interval = (100 * interval[0] / supervised, 100 * interval[1] / supervised)
        smallest = detectable(error, freedom, tests)
    faces = [np.array([study.faces_of(r) for r in runs]) for runs in (pairs.supervised, pairs.others)]
    seconds = [float(np.median([r.seconds for r in runs])) for runs in (pairs.supervised, pairs.others)]
    return Comparison(
        group=pairs.group,
        unlabelled=pairs.unlabelled,
        seeds=tuple(r.cell.seed for r in pairs.others),
        supervised=supervised,
        semi_supervised=supervised - gain,
        gains=tuple(pairs.gains.tolist()),
        gain=gain,
        relative=100 * gain / supervised,
        interval=interval,
        relative_interval=relative_interval,
        deviation=deviation if p is not None else None,
        freedom=freedom if p is not None else 0.0,
        p=p,
        corrected_p=corrected,
        detectable=smallest,
        faces=face_view(*faces),
        time=seconds[1] / seconds[0] if seconds[0] > 0 else float("nan"),
        verdict=_verdict(gain, corrected),
    )


def _verdict(gain: float, corrected: float | None) -> Verdict:
    if corrected is None:
        return "not tested"
    if corrected >= ALPHA:
        return "not shown"
    return "gain" if gain > 0 else "harm"
