"""Importance of keys: functional ANOVA of the objective over the trials (Hutter, Hoos and Leyton-Brown, ICML 2014), by Optuna.

fANOVA and not Optuna's default, PED-ANOVA: on noisy bowls like ours (six keys, two of them idle) it named the true first key
in 9, 12, 8 and 9 of 12 searches of 20 and 40 random and 20 and 40 TPE trials, PED-ANOVA in 3, 7, 4 and 7. PED-ANOVA looks only
at which trials are in the top tenth: two of twenty. With 12 trials or fewer neither beats a guess by much, so there is a limit.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.studies.search.compare import upper_fence
from pipeline.studies.search.trials import Search, Trial
from pipeline.training.config.tune import ParameterConfig, Value

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

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


def distribution(parameter: ParameterConfig) -> BaseDistribution:
    """Optuna's form of a parameter."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.type == "choice":
        return CategoricalDistribution(parameter.values)
    assert parameter.low is not None  # checked by the config
    assert parameter.high is not None
    if parameter.type == "int":
        return IntDistribution(
            int(parameter.low), int(parameter.high), log=parameter.log, step=int(parameter.step or 1)
        )
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)


def rebuild(search: Search, step: int | None = None) -> Study:
    """The search as an Optuna study, in memory: what Optuna's own tools read.

    Args:
        search: Trials whose values its space does not hold (it was changed since) are left out.
        step: None: finished trials are COMPLETE with their objective, pruned PRUNED with their curve. Otherwise every trial that
            was trained so far is COMPLETE with its best validation NME up to that step.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    forms = {key: distribution(parameter) for key, parameter in search.space.items()}
    with _quiet():
        study = optuna.create_study(direction="minimize", sampler=optuna.samplers.RandomSampler(seed=0))
        for trial in search.of("finished", "pruned", "failed"):
            if not _inside(search, trial):
                continue
            value = trial.objective if step is None and trial.state == "finished" else None
            if step is not None:
                value = trial.at(step)
            state = TrialState.COMPLETE if value is not None else TrialState.PRUNED
            if value is None and trial.state == "failed":
                state = TrialState.FAIL
            params = {key: _plain(search.space[key], trial.values[key]) for key in forms}
            study.add_trial(
                create_trial(
                    state=state,
                    value=value,
                    params=params,
                    distributions=forms,
                    intermediate_values=dict(trial.curve),
                )
            )
    return study


def _inside(search: Search, trial: Trial) -> bool:
    return all(search.space[key].holds(value) for key, value in trial.values.items())


def _plain(parameter: ParameterConfig, value: Value) -> Value:
    return int(value) if parameter.type == "int" and isinstance(value, float) else value


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

    study = rebuild(search, step)
    with _quiet():
        usable = study.get_trials(deepcopy=False)
    usable = [t for t in usable if t.state.name == "COMPLETE"]
    count = len(usable)

    def none(reason: str) -> Importance:
        return Importance(None, reason, count, step)

    if count < MIN_TRIALS:
        which = "finished" if step is None else "were trained so far"
        return none(f"{count} trials {which}; with fewer than {MIN_TRIALS} the shares would be chance")
    # Told apart as text: true and 1 are different values of a choice.
    varied = [key for key in search.space if len({repr(t.params[key]) for t in usable}) > 1]
    if len(varied) < 2:
        return none("fewer than two keys vary: there is nothing to share")
    objectives = np.array([t.value for t in usable], dtype=float)
    if np.ptp(objectives) <= 1e-12 * abs(objectives).max():
        return none("all trials have the same objective: no key made a difference")
    # One run that diverged would otherwise be all the variance there is.
    top = upper_fence(objectives.tolist())

    def target(trial: Any) -> float:
        return min(float(trial.value), top)

    if np.ptp([target(t) for t in usable]) == 0:
        return none("all trials but a few outliers have the same objective")
    try:
        with _quiet():
            from optuna.importance import FanovaImportanceEvaluator, get_param_importances

            shares = get_param_importances(
                study, evaluator=FanovaImportanceEvaluator(seed=0), params=varied, target=target
            )
    except ImportError:
        return none("scikit-learn is not installed")
    except RuntimeError:  # no tree of the forest found a split
        return none("the objective does not follow the keys: no tree of the forest found a split")
    return Importance(dict(sorted(shares.items(), key=lambda item: -item[1])), None, count, step)


@contextmanager
def _quiet() -> Iterator[None]:
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
