"""A search before it runs: what is refused, what a trial trains, and whose folder it is."""

from __future__ import annotations

import pytest

from pipeline.errors import ConfigError
from pipeline.studies.search.plan import plan_search
from pipeline.training.config.experiment import ExperimentConfig

SPACE = {
    "optimizer.lr": {"type": "choice", "values": [0.001, 0.004]},
    "loss.true_scale": {"type": "float", "low": 0.5, "high": 2.0, "log": True},
}


@pytest.fixture
def search(tmp_path, toy_experiment):
    toy_experiment["unlabelled"] = {"objective": None}
    toy_experiment["tune"] = {"space": SPACE, "trials": 6, "seeds": 2, "storage": str(tmp_path / "tune")}
    return toy_experiment


def plan_of(search, **changes):
    search["tune"] |= changes
    return plan_search(ExperimentConfig.model_validate(search))


def test_a_trial_trains_the_config_with_its_values_in_the_search_s_folder(search, tmp_path):
    plan = plan_of(search)
    values = {"optimizer.lr": 0.004, "loss.true_scale": 0.7}
    first, second = (plan.training(values, seed) for seed in plan.seeds)
    assert (first.optimizer.lr, first.loss.parameters["true_scale"]) == (0.004, 0.7)
    assert first.cluster.storage == str(tmp_path / "tune" / "toy" / "runs")
    assert (first.tune, first.scale, first.tracking.register_as) == (None, None, None)
    stem = plan.trial_name(values)
    assert (first.name, second.name) == (f"{stem}-s{first.seed}", f"{stem}-s{first.seed + 1}")
    assert plan.trial_name({**values, "optimizer.lr": 0.001}) != stem


def test_the_config_is_the_first_trial_where_the_space_holds_it(search):
    plan = plan_of(search)
    assert plan.first == plan.default == {"optimizer.lr": 0.001, "loss.true_scale": 1.0}
    assert plan_of(search, default_first=False).first is None
    narrow = {**SPACE, "loss.true_scale": {"type": "float", "low": 1.5, "high": 2.0}}
    plan = plan_of(search, default_first=True, space=narrow)
    assert (plan.first, plan.outside) == (None, ["loss.true_scale"])


def test_a_folder_is_one_search_s_however_many_of_its_trials_run_at_once(search):
    plan_of(search).claim()
    plan_of(search, concurrent=3).claim()
    search["cluster"] = {**search.get("cluster", {}), "max_failures": 2}
    plan_of(search).claim()
    with pytest.raises(ConfigError, match=r"search 'toy' exists .*tune.trials: 6 → 7.*choose another name"):
        plan_of(search, trials=7).claim()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tune": None}, "has no section 'tune'"),
        ({"space": {"optimizer.lrr": SPACE["optimizer.lr"]}}, "did you mean 'lr'"),
        ({"space": {"optimizer.lr": {"type": "float", "low": -1, "high": 1}}}, "optimizer.lr"),
        ({"space": {"loss.scale": {"type": "float", "low": 1, "high": 2}}}, "scale"),
        ({"space": {"cluster.workers": {"type": "int", "low": 1, "high": 2}}}, "leave it out"),
        (
            {"space": {"unlabelled.objective.gain": {"type": "float", "low": 1, "high": 2}}},
            "unlabelled.objective",
        ),
    ],
)
def test_a_space_that_cannot_work_fails_before_anything_starts(search, changes, message):
    if "tune" in changes:
        search["tune"] = None
    else:
        search["tune"] |= changes
    with pytest.raises(ConfigError, match=message):
        plan_search(ExperimentConfig.model_validate(search))


def test_a_search_without_a_held_out_split_is_refused(search):
    search["data"]["validation"] = None
    search["training"]["select"] = "last"
    with pytest.raises(ConfigError, match="needs data.validation"):
        plan_search(ExperimentConfig.model_validate(search))
