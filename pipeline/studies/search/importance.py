"""Importance of keys: functional ANOVA of the objective over the trials (Hutter, Hoos and Leyton-Brown, ICML 2014), by Optuna.

fANOVA and not Optuna's default, PED-ANOVA: on noisy bowls like ours (six keys, two of them idle) it named the true first key
in 9, 12, 8 and 9 of 12 searches of 20 and 40 random and 20 and 40 TPE trials, PED-ANOVA in 3, 7, 4 and 7. PED-ANOVA looks only
at which trials are in the top tenth: two of twenty. With 12 trials or fewer neither beats a guess by much, so there is a limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.studies.search.optuna_study import quiet, rebuild
from pipeline.studies.search.trials import Search

MIN_TRIALS = 10
"""Fewer say nothing."""

FEW_TRIALS = 30
"""Fewer are a hint."""


@dataclass(frozen=True)
class Importance:
    """Shares of the objective's variance, or why there are none.

    Attributes:
        shares: Key → share, descending, of sum 1; None where ``reason`` says why. Keys that never varied are left out.
        reason: Why there are none.
        trials: How many trials it is over.
        step: Where the objective was read, for all trials alike; None: at the end, finished trials only.
    """

    shares: dict[str, float] | None
    reason: str | None
    trials: int
    step: int | None = None

    @property
    def hint_only(self) -> bool:
        """Whether the trials are too few for more than a hint."""
        return self.shares is not None and self.trials < FEW_TRIALS


def common_step(search: Search) -> int | None:
    """The last step that every finished and pruned trial with a curve was trained to; None where it would say nothing new."""
    ends = [t.curve[-1][0] for t in search.of("finished", "pruned") if t.curve]
    return min(ends) if search.of("pruned") and ends and min(ends) < max(ends) else None


def importance(search: Search, step: int | None = None) -> Importance:
    """Main effect of each key as a share of the objective's variance.

    At the end it is over finished trials only: a key whose bad values all got pruned seems to matter little there. With ``step``
    pruned trials count as well, after a shorter training. The two are best read side by side.

    Args:
        search: At least ``MIN_TRIALS`` comparable trials, else there is a reason instead of shares.
        step: See ``common_step``; None for the end.
    """
    import numpy as np
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    study = rebuild(search, step)
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    count = len(trials)

    def none(reason: str) -> Importance:
        return Importance(None, reason, count, step)

    if count < MIN_TRIALS:
        which = "finished" if step is None else "were trained so far"
        return none(f"{count} trials {which}; with fewer than {MIN_TRIALS} the shares would be chance")
    # Told apart as text: true and 1 are different values of a choice.
    varied = [key for key in search.space if len({repr(t.params[key]) for t in trials}) > 1]
    if len(varied) < 2:
        return none("fewer than two keys vary: there is nothing to share")
    objectives = np.array([t.value for t in trials], dtype=float)
    if np.ptp(objectives) <= 1e-12 * abs(objectives).max():
        return none("all trials, outliers aside, have the same objective: no key made a difference")
    try:
        with quiet():
            shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0), params=varied)
    except RuntimeError:  # no tree of the forest found a split
        return none("the objective does not follow the keys: no tree of the forest found a split")
    return Importance(dict(sorted(shares.items(), key=lambda item: -item[1])), None, count, step)
