"""Elastic training: the number of workers follows the cluster, in steps that keep the global batches the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.cluster.local import is_local
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


def on_living_nodes(
    reserved: Mapping[str, dict[str, float]], nodes: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """What is reserved on nodes that live.

    Args:
        reserved: Node id → resources.
        nodes: As Ray lists them, the dead among them.
    """
    living = {node["NodeID"] for node in nodes if node["Alive"]}
    return {node: resources for node, resources in reserved.items() if node in living}


def trainer_class(config: ExperimentConfig) -> Any:
    """``TorchTrainer`` without what nobody here uses; its elastic policy only chooses valid numbers of workers."""
    import ray
    from ray.train.torch import TorchTrainer
    from ray.train.v2._internal.callbacks import DatasetsCallback
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
    from ray.train.v2._internal.execution.scaling_policy import ElasticScalingPolicy, FixedScalingPolicy

    # None of what is hooked into below is public; tests/jobs/cluster/test_elastic.py fails when it moves.
    not_needed = (
        # A process, and Ray's data library in every worker, to hand out data sets of Ray's own, of which there are none.
        DatasetsCallback,
        # A process that frees the workers' place after a controller that died. A training's driver ends with its controller,
        # and Ray frees what a driver leaves; the driver of many runs frees a place itself (Fleet).
        PlacementGroupCleanerCallback,
    )

    class LeanTrainer(TorchTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            callbacks = super()._create_default_callbacks()
            return [callback for callback in callbacks if not isinstance(callback, not_needed)]

        def _initialize_and_run_controller(self, **given: Any) -> Any:
            policy = _policy(self.scaling_config)
            if policy is not None:
                given["scaling_policy"] = policy
            return super()._initialize_and_run_controller(**given)

    class StillPolicy(FixedScalingPolicy):
        # Without an autoscaler there is nobody to ask for nodes, and the asking is a process.
        def after_controller_start(self, train_run_context: Any) -> None:
            pass

        def _maybe_send_resource_request(self) -> None:
            pass

    world_sizes = valid_world_sizes(config)

    class DivisorPolicy(ElasticScalingPolicy):
        # Ray takes every number between the two; 5 workers could not share a batch of 16. And what it has reserved is looked at
        # every 20 s: a node that has died since would be waited for.
        def _count_possible_workers(self, reserved_resources: Any) -> int:
            there = on_living_nodes(reserved_resources, ray.nodes())
            return largest_valid(super()._count_possible_workers(there), world_sizes)

    def _policy(scaling: Any) -> Any:
        if config.cluster.min_workers is not None:
            return DivisorPolicy(scaling)
        return StillPolicy(scaling) if is_local() else None

    return LeanTrainer
