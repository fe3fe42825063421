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
    """``TorchTrainer``, or one whose elastic policy only chooses valid numbers of workers."""
    from ray.train.torch import TorchTrainer

    if config.cluster.min_workers is None:
        return TorchTrainer
    from ray.train.v2._internal.execution.scaling_policy import ElasticScalingPolicy

    world_sizes = valid_world_sizes(config)

    class DivisorPolicy(ElasticScalingPolicy):
        # Ray takes every number between the two; 5 workers could not share a batch of 16.
        def _count_possible_workers(self, reserved_resources: Any) -> int:
            return largest_valid(super()._count_possible_workers(reserved_resources), world_sizes)

    class ElasticTrainer(TorchTrainer):
        # Ray has no public place for a policy of one's own; tests/jobs/test_elastic.py fails when this one moves.
        def _initialize_and_run_controller(self, **given: Any) -> Any:
            given["scaling_policy"] = DivisorPolicy(self.scaling_config)
            return super()._initialize_and_run_controller(**given)

    return ElasticTrainer
