"""One of two ranks on gloo, for tests of what ranks agree on: running statistics on their own, then a training.

Run as ``python two_ranks.py RANK FOLDER``; FOLDER has the training's ``config.json``, and gets what the tests look at.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plain_host import PlainHost
from safetensors.torch import save_file
from torch import nn

from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.engines import prepare_process
from pipeline.training.loop import TrainingLoop
from pipeline.training.statistics import average_statistics

MOMENTUM, STEPS = 0.1, 4


class RankHost(PlainHost):
    world_size = 2

    def __init__(self, folder: str, rank: int) -> None:
        super().__init__(folder)
        self.rank = rank

    def save(self, step: int, metrics: dict[str, Any], write: Any) -> None:
        write(Path(self.folder) / f"checkpoint-of-rank-{self.rank}-{step}")


def follow_statistics(rank: int, folder: Path) -> None:
    """The same batches with the mean taken after every step, and once at the end."""
    rng = np.random.default_rng(rank)
    images = rng.normal(rank, 1 + rank, (STEPS, 5, 3, 4, 4)).astype(np.float32)
    np.save(folder / f"images-{rank}.npy", images)
    for often in ("always", "once"):
        layer = nn.BatchNorm2d(3, momentum=MOMENTUM)
        network = nn.Sequential(layer, nn.InstanceNorm2d(3), nn.Conv2d(3, 3, 1))
        for step in range(STEPS):
            network(torch.from_numpy(images[step]))
            if often == "always" or step == STEPS - 1:
                average_statistics([network], 2)
        np.save(folder / f"{often}-{rank}.npy", np.stack([layer.running_mean, layer.running_var]))


def train(rank: int, folder: Path) -> None:
    """A training that keeps the network's state as each step's housekeeping leaves it."""
    config = ExperimentConfig.model_validate_json((folder / "config.json").read_text())
    run = folder / config.name
    loop = TrainingLoop(config, RankHost(str(run), rank), str(run), "0" * 12)
    housekeeping = loop._housekeeping

    def keep(guard: Any) -> None:
        housekeeping(guard)
        save_file(loop.generator.module.state_dict(), folder / f"step{loop.state.step}-{rank}.safetensors")
        teacher = loop.step.teacher
        assert teacher is not None  # the config has an objective that asks it
        save_file(teacher.state_dict(), folder / f"teacher{loop.state.step}-{rank}.safetensors")

    loop._housekeeping = keep
    loop.run()


def main() -> None:
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    os.environ |= {"DS_ACCELERATOR": "cpu", "RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": "2"}
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    prepare_process(use_gpu=False)
    follow_statistics(rank, folder)
    train(rank, folder)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
