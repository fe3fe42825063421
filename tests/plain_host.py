"""The loop that Ray's workers run, without Ray, for tests of what it computes and writes: one rank, plain folders as checkpoints.

Reads a JSON line ``{"config": …, "config_hash": …}`` per run from standard input, and prints one that says how the run ended;
tests call it by the fixture ``train_plainly``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import LandmarkError
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.engines import prepare_process
from pipeline.training.integrity import checkpoint_name, is_checkpoint
from pipeline.training.loop import TrainingLoop


class PlainHost:
    """One rank on the CPU; the run's folder holds its checkpoints, as with Ray."""

    rank, world_size, device = 0, 1, torch.device("cpu")

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, []

    def checkpoints(self) -> list[str]:
        return sorted((p.name for p in self.folder.glob("*") if is_checkpoint(p.name)), reverse=True)

    def fetch(self, checkpoint: str) -> Path:
        return self.folder / checkpoint

    def publish(self, event: dict[str, Any]) -> None:
        self.said += event.get("complaints", [])

    def save(self, step: int, metrics: dict[str, Any], write: Callable[[Path], None]) -> None:
        shutil.rmtree(self.folder / checkpoint_name(step), ignore_errors=True)
        write(self.folder / checkpoint_name(step))


def main() -> None:
    os.environ |= {"DS_ACCELERATOR": "cpu", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    prepare_process(use_gpu=False)
    for line in sys.stdin:
        raw = json.loads(line)
        config = ExperimentConfig.model_validate(raw["config"])
        torch.set_num_threads(config.cluster.cpus_per_worker)
        folder = Path(config.cluster.storage) / config.name
        host, ended = PlainHost(folder), None
        try:
            TrainingLoop(config, host, str(folder), raw["config_hash"]).run()
        except LandmarkError as error:
            ended = str(error)
        print(json.dumps({"said": host.said, "error": ended}), flush=True)


if __name__ == "__main__":
    main()
