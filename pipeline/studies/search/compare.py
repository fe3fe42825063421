"""The comparison of trials: the best one, its gain over the config it started from, and how far that can be believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

import numpy as np

from pipeline.studies.search.trials import Search, Trial
from pipeline.training.config.tune import Value


def same(a: Value, b: Value) -> bool:
    """Whether two values of a key are one: 0.1 + 0.2 is 0.3, but true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool) or not (_number(a) and _number(b)):
        return type(a) is type(b) and a == b
    assert isinstance(a, int | float)
    assert isinstance(b, int | float)
    return math.isclose(a, b, rel_tol=1e-9)


def _number(value: Value) -> bool:
    return isinstance(value, int | float)


def best(search: Search) -> Trial | None:
    """The finished trial with the lowest objective, the earlier of two equal ones; None where none finished.

    Pruned trials never win: their figure is of a shorter training, and of a moment chosen by what the others had reached.
    """
    finished = search.of("finished")
    return min(finished, key=_objective) if finished else None


def _objective(trial: Trial) -> float:
    assert trial.objective is not None  # finished trials have one
    return trial.objective


def default_trial(search: Search) -> Trial | None:
    """The trial that has the config's own values; None where none has."""
    matching = [t for t in search.trials if all(same(t.values[k], v) for k, v in search.default.items())]
    return min(matching, key=lambda t: (t.state != "finished", t.number), default=None)


def upper_fence(values: Sequence[float]) -> float:
    """Tukey's upper fence, third quartile + 1.5 interquartile ranges: above it lie runs that diverged."""
    low, high = np.percentile(np.asarray(values, dtype=float), [25, 75])
    return float(high + 1.5 * (high - low))


@dataclass(frozen=True)
class Comparison:
    """The best trial beside the default.

    Attributes:
        best: The best finished trial.
        default: The trial with the config's own values; None where none was tried.
        gain: Default's objective − best's, points of NME %; positive is better. None without a finished default.
        per_seed: The same gain seed by seed; empty with one seed.
        cautions: Sentences to print beside the numbers, always.
    """

    best: Trial
    default: Trial | None
    gain: float | None
    per_seed: tuple[float, ...]
    cautions: tuple[str, ...]


def compare(search: Search) -> Comparison | None:
    """Best against default; None where no trial finished."""
    winner = best(search)
    if winner is None:
        return None
    default = default_trial(search)
    gain: float | None = None
    per_seed: tuple[float, ...] = ()
    if default is not None and default.state == "finished":
        gain = _objective(default) - _objective(winner)
        if len(default.per_seed) == len(winner.per_seed) > 1 and default.number != winner.number:
            per_seed = tuple(d - b for d, b in zip(default.per_seed, winner.per_seed, strict=True))
    return Comparison(winner, default, gain, per_seed, tuple(_cautions(search, default, per_seed)))


def seed_noise(search: Search) -> float | None:
    """Standard deviation of one training's NME, points, over seeds: pooled over the finished trials; None with one seed."""
    groups = [np.asarray(t.per_seed) for t in search.of("finished") if len(t.per_seed) > 1]
    if not groups:
        return None
    freedom = sum(len(g) - 1 for g in groups)
    return float(np.sqrt(sum(((g - g.mean()) ** 2).sum() for g in groups) / freedom))


def luck(search: Search) -> float | None:
    """How far below the mean the best of the finished trials would stand if all were equally good, points.

    The expected minimum of n normal values (Blom, 1958: Φ⁻¹((n − 3/8) / (n + 1/4))) times the standard error of a trial's mean.
    """
    noise, count = seed_noise(search), len(search.of("finished"))
    if noise is None or count < 2:
        return None
    return noise / math.sqrt(len(search.seeds)) * NormalDist().inv_cdf((count - 0.375) / (count + 0.25))


def _cautions(search: Search, default: Trial | None, per_seed: tuple[float, ...]) -> list[str]:
    finished = search.of("finished")
    said = []
    if len(finished) > 1:
        said.append(
            f"The best of {len(finished)} finished trials was chosen by the very number shown, on {search.validation}: "
            "that number is optimistic. Train the best config with other seeds and measure it on the test set "
            "before quoting it."
        )
    if len(search.seeds) == 1 and len(finished) > 1:
        said.append(
            "One training per trial: how much the objective moves from seed to seed was not measured, so a small gain may be "
            "chance. tune.seeds=3 would tell."
        )
    elif (noise := seed_noise(search)) is not None and (expected := luck(search)) is not None:
        said.append(
            f"From seed to seed a training's NME moves by {noise:.2f} points (standard deviation). If all {len(finished)} "
            f"finished trials were equally good, the best would still seem {expected:.2f} points better than their mean, by "
            "luck alone."
        )
    if per_seed:
        wins = sum(g > 0 for g in per_seed)
        said.append(
            f"Seed by seed the best trial is ahead of the default on {wins} of {len(per_seed)}: by "
            f"{min(per_seed):+.2f} to {max(per_seed):+.2f} points, {fmean(per_seed):+.2f} on average."
        )
    if default is None:
        said.append(
            "The config's own values were not among the trials: there is nothing to call a gain against."
        )
    elif default.state != "finished":
        why = f": {first_line(default.reason)}" if default.reason else ""
        said.append(
            f"The config's own values (trial {default.number}) are {default.state}{why}: no gain is stated."
        )
    open_trials = len(search.of("running"))
    if open_trials or len(search.trials) < search.planned:
        missing = search.planned - len(search.trials) + open_trials
        said.append(f"The search is not over: {missing} of {search.planned} trials are still to finish.")
    return said


def first_line(text: str | None, limit: int = 200) -> str:
    """The first line of a reason, shortened."""
    line = next((part.strip() for part in (text or "").splitlines() if part.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"
