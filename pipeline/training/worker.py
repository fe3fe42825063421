"""The one file of the library that talks to a Ray Train worker."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.distributed import HashStore

from pipeline.shards.manifest import join
from pipeline.storage import is_local, names_in
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.engines import prepare_process
from pipeline.training.integrity import AGAIN, checkpoint_name, is_checkpoint
from pipeline.training.liveness import Liveness
from pipeline.training.loop import TrainingLoop
from pipeline.training.transfer import download_folder, upload_checkpoint

HUNG = 70
"""Exit code of a worker that waits for one that hangs."""


class RayHost:
    """A Ray Train worker as the loop's host.

    Args:
        board: Handle of the driver's board actor, which shows and tracks what the workers publish.
        run: The run's name: a search's board takes the events of many.
        run_folder: Of the run; local path or URL.
    """

    def __init__(self, board: Any, run: str, run_folder: str) -> None:
        import ray.train
        import ray.train.torch
        import ray.util

        context = ray.train.get_context()
        self.rank, self.world_size = context.get_world_rank(), context.get_world_size()
        self.device = ray.train.torch.get_device()
        self._board, self._run, self._run_folder = board, run, run_folder
        self._held: list[Any] = []
        self._liveness: Liveness | None = None
        if self.rank == 0:
            board.begin.remote(run)
            # Whoever stops the driver of this run must free the workers' place: Ray keeps it as long as the job lives.
            self.publish({"place": ray.util.get_current_placement_group()})
        self._latest = ray.train.get_checkpoint()
        # What is fetched of remote storage lives as long as the host, or until the next is.
        self._fetched: tempfile.TemporaryDirectory[str] | None = None
        self._seen: set[str] = set()

    def checkpoints(self) -> list[str]:
        """Names of the run's checkpoints, newest first: the last that Ray knows of, and the older ones that lie beside it."""
        if self._latest is None:
            return []
        newest = self._latest.path.rstrip("/").rpartition("/")[2]
        beside = names_in(self._run_folder)
        return sorted((name for name in beside if is_checkpoint(name) and name <= newest), reverse=True)

    def fetch(self, checkpoint: str) -> Path:
        """A local copy of a checkpoint."""
        if self._fetched is not None:
            self._fetched.cleanup()
        self._fetched = tempfile.TemporaryDirectory(prefix="resume-")
        self._seen.add(checkpoint)
        download_folder(join(self._run_folder, checkpoint), Path(self._fetched.name))
        return Path(self._fetched.name)

    def watch(self, timeout_s: float) -> Liveness:
        """A watch over this run's workers; a hang ends this process, whose main thread waits for another's for ever."""
        import torch.distributed

        store = (
            torch.distributed.distributed_c10d._get_default_store() if self.world_size > 1 else HashStore()
        )
        self._liveness = Liveness(store, self.rank, self.world_size, timeout_s, self._hang)
        return self._liveness

    def _hang(self, said: str) -> None:
        import ray

        try:
            ray.get(self._board.hang.remote(self._run, said), timeout=30)
        finally:
            os._exit(HUNG)

    def publish(self, event: dict[str, Any]) -> None:
        """Send an event to the driver; does not wait for it."""
        if self._liveness is not None:
            self._liveness.beat()
        self._held.append(self._board.push.remote({"run": self._run} | event))
        self._held = self._held[-8:]

    def flush(self) -> None:
        """Wait until the driver's board has everything."""
        import ray

        ray.get(self._held)
        self._held = []

    def save(self, step: int, metrics: dict[str, Any], write: Callable[[Path], None]) -> None:
        """Write and register a checkpoint; every rank calls it."""
        from ray.train import Checkpoint, CheckpointUploadMode, get_context, report

        name = checkpoint_name(step)
        # Of a damaged one, which was passed over: Ray must not take the new one for it, and remove both.
        while name in self._seen:
            name = f"{name}{AGAIN}"
        with tempfile.TemporaryDirectory(prefix="checkpoint-") as folder:
            write(Path(folder))
            if is_local(self._run_folder):
                report(metrics, Checkpoint.from_directory(folder), name)
                return
            # Ray would send the files in any order, and would try again on one rank alone.
            upload_checkpoint(Path(folder), join(self._run_folder, name), self.rank, self.world_size)
        storage = get_context().get_storage()
        there = Checkpoint(storage.build_checkpoint_path_from_name(name), storage.storage_filesystem)
        report(metrics, there, name, checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD)


def train_worker(settings: dict[str, Any]) -> None:
    """What every Ray Train worker runs.

    Args:
        settings: ``config`` (resolved, plain), ``config_hash``, ``run_folder`` (absolute), ``board`` (actor handle).
    """
    config = ExperimentConfig.model_validate(settings["config"])
    if not config.cluster.gpu:
        torch.set_num_threads(config.cluster.cpus_per_worker)
    prepare_process(config.cluster.gpu)
    run_folder: str = settings["run_folder"]
    host = RayHost(settings["board"], config.name, run_folder)
    with host.watch(config.cluster.collective_timeout_s):
        TrainingLoop(config, host, run_folder, settings["config_hash"]).run()
        host.flush()
