"""The processes that prepare a set's chunks, and write its shards: one a CPU of the cluster, or, without Ray, this one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from jobs.cluster.session import ray_session
from pipeline.errors import LandmarkError
from pipeline.faces.detector_config import DetectorConfig
from pipeline.shards.assemble import ShardPart, write_here, write_part
from pipeline.shards.plan import SetPlan
from pipeline.shards.prepare import ChunkOptions, Duplicates, prepare_chunk
from pipeline.shards.shard_list import ShardEntry
from pipeline.shards.staging import Staging

_TASKS_PER_WORKER = 2
"""Submitted ahead, so that no worker waits for the driver."""


@dataclass(frozen=True)
class ChunkJob:
    """What all chunks of a set share."""

    options: ChunkOptions
    detector: DetectorConfig
    duplicates: Duplicates | None
    staging: Staging


class ChunkWorker:
    """Prepares chunks in one process, one core."""

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        self._detector: Any = None

    def run(self, job: ChunkJob, index: int, records: tuple[Any, ...]) -> tuple[int, Counter[str]]:
        """Prepare a chunk and keep it. Returns the number of its images and the rejects by reason."""
        detector = None
        if job.options.needs_detector:
            if self._detector is None:
                from pipeline.faces.detect import FaceDetector

                self._detector = FaceDetector(job.detector)
            detector = self._detector
        result = prepare_chunk(records, job.options, detector, job.duplicates)
        job.staging.write(index, result)
        return len(records), Counter(reject.reason for reject in result.rejects)

    def write(self, staging: Staging, part: ShardPart) -> ShardEntry:
        """Write a shard of finished chunks."""
        return write_part(staging, part)


class PreparePool:
    """Workers that live as long as the block, started when the first chunk needs one.

    Args:
        workers: Processes; None for one per CPU of the cluster or machine, 0 for this process, without Ray.
    """

    def __init__(self, workers: int | None) -> None:
        self._workers = workers
        self._actors: list[Any] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> PreparePool:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def run(self, job: ChunkJob, plan: SetPlan, todo: list[int]) -> Iterator[tuple[int, Counter[str]]]:
        """Prepare chunks of a set, in any order; each one's number of images and rejects by reason.

        Raises:
            LandmarkError: A worker's, as the worker raised it.
        """
        if not todo or self._workers == 0:
            return _run_here(job, plan, todo)
        actors = self._started()
        import ray

        shared = ray.put(job)
        calls = (partial(_prepare_on, shared, plan, index) for index in todo)
        return (result for _, result in _on_actors(actors, calls))

    def write(self, staging: Staging, parts: Sequence[ShardPart]) -> Iterator[ShardEntry]:
        """Write a set's shards, as many at a time as there are processes; their entries in order.

        Raises:
            LandmarkError: A worker's, as the worker raised it.
        """
        if len(parts) < 2 or self._workers == 0:
            return write_here(staging, parts)
        actors = self._started()
        calls = (partial(_write_on, staging, part) for part in parts)
        written = dict(_on_actors(actors, calls))
        return (written[place] for place in range(len(parts)))

    def warm(self, job: ChunkJob, records: tuple[Any, ...]) -> None:
        """Have every worker prepare some images as chunk 0, so that its networks are loaded. Needs Ray."""
        import ray

        ray.get([actor.run.remote(job, 0, records) for actor in self._started()])

    def _started(self) -> list[Any]:
        if self._actors is None:
            self._stack.enter_context(ray_session(self._workers))
            import ray

            cpus = int(ray.cluster_resources().get("CPU", 1))
            # A killed worker (memory, preemption) is started again and does its chunks again: they are idempotent.
            remote = ray.remote(num_cpus=1, max_restarts=3, max_task_retries=3)(ChunkWorker)
            self._actors = [remote.remote() for _ in range(min(self._workers or cpus, cpus))]
        return self._actors


def _prepare_on(shared: Any, plan: SetPlan, index: int, actor: Any) -> Any:
    return actor.run.remote(shared, index, plan.chunk(index))


def _write_on(staging: Staging, part: ShardPart, actor: Any) -> Any:
    return actor.write.remote(staging, part)


def _run_here(job: ChunkJob, plan: SetPlan, todo: list[int]) -> Iterator[tuple[int, Counter[str]]]:
    worker = ChunkWorker()
    for index in todo:
        yield worker.run(job, index, plan.chunk(index))


def _on_actors(actors: list[Any], calls: Iterable[Callable[[Any], Any]]) -> Iterator[tuple[int, Any]]:
    """Make calls, each to the actor that is free next; their places among the calls and their results, as they come."""
    import ray

    waiting = enumerate(calls)
    running: dict[Any, tuple[int, Any]] = {}
    slots = [actor for _ in range(_TASKS_PER_WORKER) for actor in actors]
    try:
        while True:
            for place, call in islice(waiting, len(slots)):
                actor = slots.pop(0)
                running[call(actor)] = place, actor
            if not running:
                return
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            place, actor = running.pop(done)
            slots.append(actor)
            yield place, ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, LandmarkError):
            raise error.cause from None  # the user's problem, not a crash: no remote trace
        raise
    finally:
        for reference in running:
            ray.cancel(reference)
