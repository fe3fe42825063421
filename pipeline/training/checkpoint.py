"""One checkpoint is one thing: all engines, the weight average, and where the run stands.

The order of samples, dropout and noise are functions of (seed, step, rank), so "where the run stands" is a few integers.
DeepSpeed's own files are pickles: resume only from storage you trust. The models a run hands on (``pipeline.inference``) are not.
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
) -> None:
    """Write this rank's part; rank 0 also writes the shared part. Discriminators are named by their objectives."""
    save_engine(generator, folder / "generator")
    for name, discriminator in discriminators.items():
        save_engine(discriminator, folder / "discriminators" / name)
    if rank != 0:
        return
    if average is not None:
        save_file(average.state(generator.module), folder / _AVERAGE)
    write_text(str(folder / _STATE), state.model_dump_json(indent=2))


def load(
    folder: Path, generator: Any, discriminators: Mapping[str, Any], average: WeightAverage | None
) -> RunState:
    """Restore what ``save`` wrote.

    Raises:
        TrainingError: The checkpoint is not whole or does not belong to these networks.
    """
    try:
        state = RunState.model_validate(json.loads((folder / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # ValidationError and JSONDecodeError are ValueErrors
        raise TrainingError(
            f"{folder}: not a whole checkpoint ({error}); remove it to resume from an older one"
        ) from error
    load_engine(generator, folder / "generator")
    for name, discriminator in discriminators.items():
        load_engine(discriminator, folder / "discriminators" / name)
    if average is not None:
        try:
            average.load(load_file(folder / _AVERAGE), state.average_updates)
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise TrainingError(
                f"{folder / _AVERAGE}: not the weight average of this network ({error}); remove the checkpoint to resume from "
                "an older one"
            ) from error
    return state


def weights(module: nn.Module, average: WeightAverage | None) -> dict[str, Any]:
    """The state dict a run validates and hands on: the average if there is one. A copy on the CPU."""
    if average is not None:
        return average.state(module)
    return {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in module.state_dict().items()
    }
