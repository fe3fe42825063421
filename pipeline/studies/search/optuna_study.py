"""A search as an Optuna study in memory: what Optuna's own importance and charts read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.studies.search.compare import upper_fence
from pipeline.studies.search.trials import Search, Trial
from pipeline.training.config.tune import ParameterConfig, Value

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution


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
    """The search as an Optuna study, its trials under their own numbers.

    Objectives above Tukey's upper fence are put on it: one run that diverged would otherwise be all the variance there is, and
    all of a chart's axis. Trials that are running, or whose values the space does not hold (it was changed since), are WAITING.

    Args:
        search: The search.
        step: None: finished trials are COMPLETE with their objective, pruned PRUNED, failed FAIL, each with its curve. Otherwise
            every trial that was trained so far is COMPLETE with its best validation NME up to that step.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    values = objectives(search, step)
    fence = upper_fence(list(values.values())) if values else 0.0
    forms = {key: distribution(parameter) for key, parameter in search.space.items()}
    trials = {trial.number: trial for trial in search.trials if usable(search, trial)}
    with quiet():
        study = optuna.create_study(direction="minimize")
        for number in range(max((t.number for t in search.trials), default=-1) + 1):
            trial = trials.get(number)
            if trial is None:
                study.add_trial(create_trial(state=TrialState.WAITING))
                continue
            known, failed = number in values, trial.state == "failed"
            study.add_trial(
                create_trial(
                    state=TrialState.COMPLETE if known else TrialState.FAIL if failed else TrialState.PRUNED,
                    value=min(values[number], fence) if known else None,
                    params={key: _plain(search.space[key], trial.values[key]) for key in forms},
                    distributions=forms,
                    intermediate_values=dict(trial.curve),
                )
            )
    return study


def objectives(search: Search, step: int | None = None) -> dict[int, float]:
    """Trial number → objective at the end, of finished trials, or, with ``step``, of all as far as that."""
    found = {
        t.number: (t.objective if t.state == "finished" else None) if step is None else t.at(step)
        for t in search.trials
        if usable(search, t)
    }
    return {number: value for number, value in found.items() if value is not None}


def usable(search: Search, trial: Trial) -> bool:
    """Whether a trial has ended and its space holds its values."""
    return trial.state != "running" and all(
        search.space[key].holds(value) for key, value in trial.values.items()
    )


def _plain(parameter: ParameterConfig, value: Value) -> Value:
    return int(value) if parameter.type == "int" and isinstance(value, float) else value


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna without its log, and without its warnings of what is experimental."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
