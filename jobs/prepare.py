"""``landmarks prepare``: data sets of images → shards and manifests, on all cores of a cluster.

A second run with the same config and images changes nothing; a killed one goes on where it stopped; the
bytes written do not depend on the number of workers.
"""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from jobs.cluster.progress import Advance, progress
from jobs.cluster.session import ray_session
from pipeline.errors import LandmarkError, StorageError
from pipeline.faces.detect import DetectorConfig
from pipeline.shards.manifest import Manifest, join
from pipeline.shards.plan import RECORDS_PER_CHUNK, SetPlan, plan_sets
from pipeline.shards.prepare import ChunkOptions, Duplicates, prepare_chunk
from pipeline.shards.prepare_config import PrepareConfig
from pipeline.shards.staging import (
    STAGING,
    Staging,
    assemble,
    check_entries,
    check_rejects,
    existing,
    remarks,
)
from pipeline.storage import absolute, is_local, local_path, require_free_space

_TASKS_PER_WORKER = 2
"""Submitted ahead, so that no worker waits for the driver."""


@dataclass(frozen=True)
class _Job:
    """What all chunks of a set share."""

    options: ChunkOptions
    detector: DetectorConfig
    duplicates: Duplicates | None
    staging: Staging


class _Worker:
    """Prepares chunks in one process, one core."""

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        self._detector: Any = None

    def run(self, job: _Job, index: int, records: tuple[Any, ...]) -> tuple[int, Counter[str]]:
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


def _run_here(job: _Job, plan: SetPlan, todo: list[int]) -> Iterator[tuple[int, Counter[str]]]:
    worker, chunks = _Worker(), plan.chunks
    for index in todo:
        yield worker.run(job, index, chunks[index])


def _run_on_ray(
    actors: list[Any], job: _Job, plan: SetPlan, todo: list[int]
) -> Iterator[tuple[int, Counter[str]]]:
    import ray

    shared, chunks, waiting = ray.put(job), plan.chunks, list(reversed(todo))
    running: dict[Any, Any] = {}
    slots = [actor for _ in range(_TASKS_PER_WORKER) for actor in actors]
    try:
        while waiting or running:
            while waiting and slots:
                actor, index = slots.pop(0), waiting.pop()
                running[actor.run.remote(shared, index, chunks[index])] = actor
            done, _ = ray.wait(list(running), num_returns=1)
            slots.append(running.pop(done[0]))
            yield ray.get(done[0])
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, LandmarkError):
            raise error.cause from None  # the user's problem, not a crash: no remote trace
        raise
    finally:
        for reference in running:
            ray.cancel(reference)


def _start_actors(workers: int | None) -> list[Any]:
    import ray

    cpus = int(ray.cluster_resources().get("CPU", 1))
    # A killed worker (memory, preemption) is started again and does its chunks again: they are idempotent.
    remote = ray.remote(num_cpus=1, max_restarts=3, max_task_retries=3)(_Worker)
    return [remote.remote() for _ in range(min(workers or cpus, cpus))]


@contextmanager
def _locked(out: str) -> Iterator[None]:
    """One preparation at a time into one folder. Object stores have no locks: there, nothing is checked."""
    if not is_local(out):
        yield
        return
    path = local_path(out) / STAGING / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise StorageError(
            f"{out}: cannot write: {error.strerror}; set 'out' to a writable folder"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"{out}: another preparation is running; wait for it, or choose another 'out'"
            ) from error
        yield


def _duplicates(plan: SetPlan, done: dict[str, Manifest], out: str) -> Duplicates | None:
    if not plan.references:
        return None
    from pipeline.shards.duplicates import index_of_sets

    return index_of_sets([join(out, name) for name in plan.references if name in done])


def _check_space(plan: SetPlan, chunks: int) -> None:
    crop = plan.options.crop
    # A stored JPEG takes at most some 0.8 B a pixel at quality 95; JSON and tar headers the rest. All of it
    # twice: as chunk and as shard.
    sample = (
        0.8 * crop.size**2 + 2048 + 40 * (plan.options.markup.num_landmarks if plan.options.markup else 0)
    )
    missing = min(len(plan.records), chunks * RECORDS_PER_CHUNK)
    require_free_space(plan.folder, int(2 * sample * missing), f"preparing '{plan.name}'")


def prepare(config: PrepareConfig, *, workers: int | None = None, overwrite: bool = False) -> list[Manifest]:
    """Prepare every set of the config.

    Args:
        config: What to prepare.
        workers: Processes; None for one per CPU of the cluster or machine, 0 for this process, without Ray.
        overwrite: Replace sets that were prepared from another config or other images.

    Returns:
        The sets' manifests, in order.

    Raises:
        ConfigError: A config that cannot work, or another set in the way.
        DataError: Missing or malformed input, or more images left out than ``max_reject_share`` allows.
        StorageError: Not enough space, or the disk refuses a write.
    """
    out = absolute(config.out)
    config = config.model_copy(update={"out": out})
    plans = plan_sets(config)
    manifests: dict[str, Manifest] = {}
    with ExitStack() as stack:
        stack.enter_context(_locked(out))
        actors: list[Any] | None = None
        for plan in plans:
            config_hash = plan.config_hash(
                s.sha256 for name in plan.references for s in manifests[name].shards
            )
            found = existing(plan, config_hash, overwrite=overwrite)
            if found is not None:
                print(f"{plan.name}: up to date, {found.samples} samples in {plan.folder}")
                manifests[plan.name] = found
                continue
            staging = Staging(out, plan.name, config_hash)
            staging.discard_others()
            check_entries(plan, staging, config.max_reject_share)
            finished = staging.finished()
            todo = [index for index in range(len(plan.chunks)) if index not in finished]
            _check_space(plan, len(todo))
            job = _Job(plan.options, config.detector, _duplicates(plan, manifests, out), staging)
            if todo and workers != 0 and actors is None:
                stack.enter_context(ray_session(workers))
                actors = _start_actors(workers)
            results = _run_on_ray(actors, job, plan, todo) if actors and todo else _run_here(job, plan, todo)
            _follow(plan, results, staging, finished, config.max_reject_share)
            manifests[plan.name] = assemble(plan, config_hash, staging, config.max_reject_share)
            print(_summary(plan, manifests[plan.name]))
            for remark in (*plan.remarks, *remarks(plan, manifests[plan.name])):
                print(f"{plan.name}: {remark}")
    return list(manifests.values())


def _follow(
    plan: SetPlan,
    results: Iterator[tuple[int, Counter[str]]],
    staging: Staging,
    finished: set[int],
    max_reject_share: float,
) -> None:
    rejected: Counter[str] = Counter()
    for index in finished:
        rejected += Counter(reject.reason for reject in staging.state(index)[1])
    before = sum(len(plan.chunks[index]) for index in finished)
    advance: Advance
    with progress(f"prepare {plan.name}", len(plan.records), done=before) as advance:
        for count, reasons in results:
            rejected += reasons
            check_rejects(plan, rejected, max_reject_share, staging)
            advance(count, f"{rejected.total()} left out" if rejected else "")


def _summary(plan: SetPlan, manifest: Manifest) -> str:
    rejected = ", ".join(f"{count} {reason}" for reason, count in manifest.rejected.items()) or "none"
    shares = ", ".join(f"{name} {value:.4f}" for name, value in manifest.statistics.items())
    return (
        f"{plan.name}: {manifest.samples} samples, {len(manifest.shards)} shard(s), "
        f"{manifest.bytes / 2**20:.1f} MiB in {plan.folder}; left out: {rejected}"
        + (f"; {shares}" if shares else "")
    )
