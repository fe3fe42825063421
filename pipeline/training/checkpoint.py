"""One checkpoint is one thing: all engines, the weight average, and where the run stands.

The order of samples, dropout and noise are functions of (seed, step, rank), so "where the run stands" is a few integers.
Whoever loads one has compared it with its digests (``pipeline.training.resume``); nothing in it is loaded that could run code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline.errors import TrainingError
from pipeline.storage import write_text
from pipeline.training.ema import WeightAverage
from pipeline.training.engines import load_engine, save_engine
from pipeline.training.integrity import digests, read_seal, seal
from pipeline.training.ranks import merged
from pipeline.words import counted

_STATE, _AVERAGE = "state.json", "average.safetensors"


class RunState(BaseModel):
    """Where a run stands.

    Attributes:
        step: Optimizer steps done.
        labelled_position: Samples of data.train consumed by all ranks; unlabelled_position likewise.
        extra_positions: Likewise of each set of data.extra; empty at the start.
        best: Best validation NME so far, %.
        best_step: When.
        average_updates: Steps in the weight average.
        config_hash: Of the run's config.
        seconds: Training time so far.
    """

    model_config = ConfigDict(extra="forbid")
    step: int = 0
    labelled_position: int = 0
    unlabelled_position: int = 0
    extra_positions: tuple[int, ...] = ()
    best: float | None = None
    best_step: int | None = None
    average_updates: int = 0
    config_hash: str = ""
    seconds: float = 0.0

    def take_labelled(self, train: int, extra: tuple[int, ...]) -> None:
        """Count a step's faces of data.train and of each extra set."""
        self.labelled_position += train
        self.extra_positions = tuple(
            position + batch for position, batch in zip(self.extra_positions, extra, strict=True)
        )


def save(
    folder: Path,
    rank: int,
    state: RunState,
    generator: Any,
    discriminators: Mapping[str, Any],
    average: WeightAverage | None,
    *,
    world_size: int = 1,
    zero_stage: int = 0,
) -> None:
    """Write this rank's part; rank 0 also writes the shared part, and then the list that makes it a checkpoint.

    Args:
        folder: This rank's, empty; the ranks' become one.
        rank: r.
        state: Where the run stands.
        generator: Its engine.
        discriminators: Engines of the objectives, by their names.
        average: Of the generator's weights, if the run averages.
        world_size: W; every rank calls this.
        zero_stage: Of the engines.
    """
    save_engine(generator, folder / "generator")
    for name, discriminator in discriminators.items():
        save_engine(discriminator, folder / "discriminators" / name)
    if rank == 0:
        if average is not None:
            save_file(average.state(generator.module), folder / _AVERAGE)
        write_text(str(folder / _STATE), state.model_dump_json(indent=2))
    files = merged(digests(folder), world_size)
    if rank == 0:
        seal(
            folder,
            files,
            step=state.step,
            config_hash=state.config_hash,
            world_size=world_size,
            zero_stage=zero_stage,
        )


def load(
    folder: Path,
    generator: Any,
    discriminators: Mapping[str, Any],
    average: WeightAverage | None,
    *,
    world_size: int = 1,
    zero_stage: int = 0,
) -> RunState:
    """Restore what ``save`` wrote.

    Args:
        folder: Of a checkpoint that has been compared with its digests.
        generator: Its engine.
        discriminators: Engines of the objectives, by their names.
        average: Of the generator's weights, if the run averages.
        world_size: W.
        zero_stage: Of the engines.

    Raises:
        TrainingError: The checkpoint is not whole or does not belong to these networks, this world size or this ZeRO stage.
    """
    _check_stage(folder, world_size, zero_stage)
    try:
        state = RunState.model_validate(json.loads((folder / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # ValidationError and JSONDecodeError are ValueErrors
        raise TrainingError(
            f"{folder}: not a whole checkpoint ({error}); 'landmarks checkpoint inspect RUN' says which are"
        ) from error
    load_engine(generator, folder / "generator")
    for name, discriminator in discriminators.items():
        load_engine(discriminator, folder / "discriminators" / name)
    if average is not None:
        try:
            average.load(load_file(folder / _AVERAGE), state.average_updates)
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise TrainingError(
                f"{folder / _AVERAGE}: not the weight average of this network ({error}); with another training.ema_decay or "
                "model a run is another one: choose another name=…"
            ) from error
    return state


def _check_stage(folder: Path, world_size: int, zero_stage: int) -> None:
    """DeepSpeed splits an optimizer's state by world size and stage, and of others would say only that files are gone."""
    saved = read_seal(str(folder))
    if saved.zero_stage != zero_stage or (zero_stage and saved.world_size != world_size):
        raise TrainingError(
            f"{folder}: was saved by {counted(saved.world_size, 'worker')} with cluster.zero_stage={saved.zero_stage}, and the "
            f"run would go on with {world_size} and {zero_stage}: an optimizer's state cannot be split again; set "
            f"cluster.zero_stage={saved.zero_stage}"
            + (f" and cluster.workers={saved.world_size}" if saved.zero_stage else "")
        )


def weights(module: nn.Module, average: WeightAverage | None) -> dict[str, Any]:
    """The state dict a run validates and hands on: the average if there is one. A copy on the CPU."""
    if average is not None:
        return average.state(module)
    return {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in module.state_dict().items()
    }
