"""Elastic training keeps to numbers of workers that share the global batch evenly."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jobs.cluster.elastic import largest_valid, trainer_class, valid_world_sizes
from pipeline.training.config.experiment import ExperimentConfig


@pytest.fixture
def elastic(toy_experiment):
    def make(workers, least, batch=8, streams=64):
        toy_experiment["cluster"] |= {"workers": workers, "min_workers": least}
        toy_experiment["training"]["batch"] = batch
        toy_experiment["data"]["streams"] = streams
        return ExperimentConfig.model_validate(toy_experiment)

    return make


def test_only_divisors_of_streams_and_batch(elastic):
    assert valid_world_sizes(elastic(8, 2, batch=16)) == [8, 4, 2]
    assert valid_world_sizes(elastic(8, 2, batch=24, streams=48)) == [8, 6, 4, 3, 2]
    assert valid_world_sizes(elastic(8, 3, batch=20)) == [4]


def test_a_cluster_between_two_valid_sizes_gives_the_smaller():
    assert [largest_valid(n, [8, 4, 2]) for n in (9, 7, 4, 3, 1)] == [8, 4, 4, 2, 0]


def test_rays_policy_is_the_one_that_chooses(elastic, monkeypatch):
    # What it hooks into is Ray's own; this fails when Ray moves it.
    import ray
    from ray.train import ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2._internal.execution.scaling_policy import ElasticScalingPolicy

    config = elastic(8, 2, batch=16)
    made = trainer_class(config)
    assert issubclass(made, TorchTrainer)
    trainer = made(
        lambda: None, scaling_config=ScalingConfig(num_workers=(2, 8), resources_per_worker={"CPU": 1})
    )
    given = {}
    parent = TorchTrainer._initialize_and_run_controller
    try:
        TorchTrainer._initialize_and_run_controller = lambda self, **k: given.update(k)
        trainer._initialize_and_run_controller(scaling_policy=None)
    finally:
        TorchTrainer._initialize_and_run_controller = parent
    policy = given["scaling_policy"]
    assert isinstance(policy, ElasticScalingPolicy)
    nodes = {"a": {"CPU": 3.0}, "b": {"CPU": 4.0}}
    assert ElasticScalingPolicy._count_possible_workers(policy, nodes) == 7
    alive = {"a": True, "b": True}
    monkeypatch.setattr(ray, "nodes", lambda: [{"NodeID": n, "Alive": lives} for n, lives in alive.items()])
    assert policy._count_possible_workers(nodes) == 4
    # One is dead, which what is reserved does not say yet.
    alive["b"] = False
    assert policy._count_possible_workers(nodes) == 2


def test_only_where_there_may_be_an_autoscaler_it_is_asked(toy_experiment, monkeypatch):
    from ray.train import ScalingConfig
    from ray.train.torch import TorchTrainer

    made = trainer_class(ExperimentConfig.model_validate(toy_experiment))
    trainer = made(lambda: None, scaling_config=ScalingConfig(num_workers=1))
    given = {}
    monkeypatch.setattr(TorchTrainer, "_initialize_and_run_controller", lambda self, **k: given.update(k))
    rays_own = object()
    monkeypatch.delenv("LANDMARKS_LOCAL_RAY", raising=False)
    trainer._initialize_and_run_controller(scaling_policy=rays_own)
    assert given["scaling_policy"] is rays_own
    monkeypatch.setenv("LANDMARKS_LOCAL_RAY", "1")
    trainer._initialize_and_run_controller(scaling_policy=rays_own)
    policy = given["scaling_policy"]
    # Each of these would start Ray's coordinator, and with it, here, a whole Ray.
    policy.after_controller_start(SimpleNamespace(run_id="run"))
    assert policy.make_decision_for_non_running_worker_group().num_workers == 1
    policy.before_controller_abort()
    import ray

    assert not ray.is_initialized()


def test_nothing_is_started_that_is_of_no_use_here(toy_experiment):
    # What it leaves out is Ray's own; this fails when Ray moves it.
    from ray.train import ScalingConfig
    from ray.train.torch import TorchTrainer

    made = trainer_class(ExperimentConfig.model_validate(toy_experiment))
    trainer = made(lambda: None, scaling_config=ScalingConfig(num_workers=1))
    theirs = {type(callback).__name__ for callback in TorchTrainer._create_default_callbacks(trainer)}
    ours = {type(callback).__name__ for callback in trainer._create_default_callbacks()}
    assert theirs - ours == {"DatasetsCallback", "PlacementGroupCleanerCallback"}
