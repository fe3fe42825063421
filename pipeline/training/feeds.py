"""The streams of a run, opened where the run stands: data.train, the labelled sets mixed in, the unlabelled faces."""

from __future__ import annotations

import torch

from pipeline.shards.ahead import sender
from pipeline.shards.joined import JoinedSet
from pipeline.shards.loader import BatchLoader
from pipeline.shards.order import Order
from pipeline.shards.stream import SampleStream
from pipeline.training.checkpoint import RunState
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.plan import Plan, orders


def decode_threads(config: ExperimentConfig) -> int:
    """Threads that decode a set's images in a worker: on the CPU one, as all cores compute."""
    if config.data.decode_threads is not None or not config.cluster.gpu:
        return config.data.decode_threads or 1
    sets = 1 + len(config.data.extra) + bool(config.unlabelled.active)
    return max((config.cluster.cpus_per_worker - 1) // sets, 1)


def open_loaders(
    plan: Plan, state: RunState, rank: int, world_size: int, device: torch.device | None = None
) -> tuple[list[BatchLoader], list[BatchLoader]]:
    """A rank's loaders, each with a thread of its own; whoever opens them closes them.

    Args:
        plan: Of the run.
        state: Positions to go on from.
        rank: r.
        world_size: W.
        device: A GPU that batches are sent to ahead of their step; None leaves them in the host's memory.

    Returns:
        Labelled ones, whose batches together are a step's labelled faces: data.train, then the extra sets; and the unlabelled
        one, if the run has any.
    """
    config, order = plan.config, orders(plan)
    data = config.data

    def loader(source: str | JoinedSet, of: Order, batch: int, position: int, labels: bool) -> BatchLoader:
        return BatchLoader(
            SampleStream(source, of, rank=rank, world_size=world_size, start=position),
            batch // world_size,
            threads=decode_threads(config),
            prefetch=data.prefetch_batches,
            max_bad_share=data.max_bad_share,
            attributes=data.focal_attributes if labels else (),
            send=None if device is None else sender(device),
        )

    labelled = [loader(data.train, order.train, config.train_batch, state.labelled_position, True)]
    labelled += [
        loader(extra.set, of, batch, position, True)
        for extra, of, batch, position in zip(
            data.extra, order.extra, config.extra_batches, state.extra_positions, strict=True
        )
    ]
    unlabelled = []
    if plan.unlabelled is not None and order.unlabelled is not None:
        batch, position = config.unlabelled_batch, state.unlabelled_position
        unlabelled = [loader(plan.unlabelled.sets, order.unlabelled, batch, position, False)]
    return labelled, unlabelled
