"""Elastic training: the number of workers follows the cluster, in steps that keep the global batches the same."""

from __future__ import annotations

from typing import Any

from pipeline.training.config.experiment import ExperimentConfig


def valid_world_sizes(config: ExperimentConfig) -> list[int]:
    """Numbers of workers under which a run sees its global batches, largest first.

    W divides the number of streams, and the faces that a step takes of each set (see ``pipeline.shards.order``).
    """
    cluster = config.cluster
    shared = (config.data.streams, config.train_batch, *config.extra_batches, config.unlabelled_batch)
    return [
        world_size
        for world_size in range(cluster.workers, (cluster.min_workers or cluster.workers) - 1, -1)
        if all(number % world_size == 0 for number in shared)
    ]


def largest_valid(possible: int, world_sizes: list[int]) -> int:
    """The largest valid number of workers that a cluster holds; 0 where it holds none."""
    return next((world_size for world_size in world_sizes if world_size <= possible), 0)


def trainer_class(config: ExperimentConfig) -> Any:
    """``TorchTrainer`` without what nobody here uses; its elastic policy only chooses valid numbers of workers."""
    from ray.train.torch import TorchTrainer
    from ray.train.v2._internal.callbacks import DatasetsCallback

    class LeanTrainer(TorchTrainer):
        # Ray starts a process, and imports its data library in every worker, to hand out data sets of its own, of which there
        # are none. Neither this nor the next place is public; tests/jobs/cluster/test_elastic.py fails when one moves.
        def _create_default_callbacks(self) -> list[Any]:
            callbacks = super()._create_default_callbacks()
            return [callback for callback in callbacks if not isinstance(callback, DatasetsCallback)]

    if config.cluster.min_workers is None:
        return LeanTrainer
    from ray.train.v2._internal.execution.scaling_policy import ElasticScalingPolicy

    world_sizes = valid_world_sizes(config)

    class DivisorPolicy(ElasticScalingPolicy):
        # Ray takes every number between the two; 5 workers could not share a batch of 16.
        def _count_possible_workers(self, reserved_resources: Any) -> int:
            return largest_valid(super()._count_possible_workers(reserved_resources), world_sizes)

    class ElasticTrainer(LeanTrainer):
        def _initialize_and_run_controller(self, **given: Any) -> Any:
            given["scaling_policy"] = DivisorPolicy(self.scaling_config)
            return super()._initialize_and_run_controller(**given)

    return ElasticTrainer
