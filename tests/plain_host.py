"""The loop that Ray's workers run, without Ray, for tests of what it computes and writes: one rank, plain folders as checkpoints.

Reads a JSON line ``{"config": …, "config_hash": …}`` per run from standard input, and prints one that says how the run ended;
tests call it by the fixture ``train_plainly``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import LandmarkError
from pipeline.shards.manifest import join
from pipeline.storage import is_local, names_in
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.engines import prepare_process
from pipeline.training.integrity import checkpoint_name, is_checkpoint
from pipeline.training.loop import TrainingLoop
from pipeline.training.transfer import download_folder, upload_checkpoint


class PlainHost:
    """One rank on the CPU; the run's folder, which may be in a store, holds its checkpoints, as with Ray."""

    rank, world_size, device = 0, 1, torch.device("cpu")

    def __init__(self, folder: str) -> None:
        self.folder, self.said = folder, []

    def checkpoints(self) -> list[str]:
        return sorted(filter(is_checkpoint, names_in(self.folder)), reverse=True)

    def fetch(self, checkpoint: str) -> Path:
        place = join(self.folder, checkpoint)
        if is_local(place):
            return Path(place)
        self.fetched = tempfile.TemporaryDirectory()
        download_folder(place, Path(self.fetched.name))
        return Path(self.fetched.name)

    def publish(self, event: dict[str, Any]) -> None:
        self.said += event.get("complaints", [])

    def save(self, step: int, metrics: dict[str, Any], write: Callable[[Path], None]) -> None:
        place = join(self.folder, checkpoint_name(step))
        if is_local(place):
            shutil.rmtree(place, ignore_errors=True)
            write(Path(place))
            return
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            upload_checkpoint(Path(folder), place, self.rank, self.world_size)


def main() -> None:
    os.environ |= {"DS_ACCELERATOR": "cpu", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    prepare_process(use_gpu=False)
    for line in sys.stdin:
        raw = json.loads(line)
        config = ExperimentConfig.model_validate(raw["config"])
        torch.set_num_threads(config.cluster.cpus_per_worker)
        folder = join(config.cluster.storage, config.name)
        host, ended = PlainHost(folder), None
        try:
            TrainingLoop(config, host, folder, raw["config_hash"]).run()
        except LandmarkError as error:
            ended = str(error)
        print(json.dumps({"said": host.said, "error": ended}), flush=True)


if __name__ == "__main__":
    main()
