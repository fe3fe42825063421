"""The search as Optuna reads it: the same trials under the same numbers, outliers on the fence."""

from __future__ import annotations

import optuna
import pytest

from pipeline.studies.search.compare import upper_fence
from pipeline.studies.search.optuna_study import distribution, rebuild
from pipeline.training.config.tune import ParameterConfig


def test_the_study_is_the_search(search_of):
    made = search_of(30, failed=(3,))
    study = rebuild(made)
    names = {"finished": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
    fence = upper_fence([t.objective for t in made.of("finished")])
    for ours, theirs in zip(made.trials, study.trials, strict=True):
        assert theirs.number == ours.number
        assert theirs.state.name == names[ours.state]
        assert theirs.params == ours.values
        assert theirs.intermediate_values == dict(ours.curve)
        if ours.state == "finished":
            assert theirs.value == min(ours.objective, fence)
    assert study.best_value == min(t.objective for t in made.of("finished"))


def test_at_a_step_every_trial_that_came_so_far_is_complete(search_of):
    made = search_of(30, failed=(3,))
    study = rebuild(made, 400)
    fence = upper_fence([t.at(400) for t in made.trials if t.number != 3])
    for ours, theirs in zip(made.trials, study.trials, strict=True):
        assert theirs.state.name == ("FAIL" if ours.number == 3 else "COMPLETE")
        assert theirs.value == (None if ours.number == 3 else min(ours.at(400), fence))


def test_trials_outside_a_changed_space_keep_their_place_and_say_nothing(search_of):
    made = search_of(30, prune=False)
    narrow = ParameterConfig(type="float", low=1e-4, high=1e-2, log=True)
    inside = [t.number for t in made.trials if 1e-4 <= t.values["optimizer.lr"] <= 1e-2]
    study = rebuild(made.model_copy(update={"space": made.space | {"optimizer.lr": narrow}}))
    assert [t.number for t in study.trials if t.state.name == "COMPLETE"] == inside
    assert all(t.state.name == "WAITING" for t in study.trials if t.number not in inside)
    assert 0 < len(inside) < 30


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (ParameterConfig(type="float", low=1e-3, high=1, log=True), optuna.distributions.FloatDistribution(1e-3, 1, log=True)),
        (ParameterConfig(type="float", low=0, high=1, step=0.25), optuna.distributions.FloatDistribution(0, 1, step=0.25)),
        (ParameterConfig(type="int", low=2, high=10, step=4), optuna.distributions.IntDistribution(2, 10, step=4)),
        (ParameterConfig(type="int", low=2, high=64, log=True), optuna.distributions.IntDistribution(2, 64, log=True)),
        (ParameterConfig(type="choice", values=(None, "a")), optuna.distributions.CategoricalDistribution((None, "a"))),
    ],
)  # fmt: skip
def test_distributions(parameter, expected):
    assert distribution(parameter) == expected
