"""Random numbers of an augmentation: uniform, drawn on the CPU, a fixed number for each image of the *global* batch.

Every operation owns its columns whether it is used or not: another probability, range or operation in the set leaves all other
numbers as they are. Rank r of W trains on samples i of the global batch with i mod W = r (``pipeline.shards.order``), and takes
their rows: any number of workers changes each sample alike, and a resumed step the same as the one it repeats.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import ConfigError


def step_generator(seed: int, step: int, stream: int = 0) -> torch.Generator:
    """A generator whose state is a function of its arguments alone: a resume needs no stored state.

    Args:
        seed: Of the run.
        step: Global step.
        stream: Which of the step's batches, e.g. 0 for labelled and 1 for unlabelled images.
    """
    state = np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)[0]
    # The top bit is dropped: manual_seed reads a signed number.
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def uniforms(
    count: int, columns: int, generator: torch.Generator, rank: int = 0, world_size: int = 1
) -> Tensor:
    """(count, columns) float64 in [0, 1) on the CPU: the rows of one rank's images.

    Args:
        count: Images of this rank.
        columns: Numbers an image needs.
        generator: On the CPU, in the same state on every rank.
        rank: r.
        world_size: W; all ranks have ``count`` images.
    """
    return torch.rand(count * world_size, columns, generator=generator, dtype=torch.float64)[rank::world_size]


def chosen(uniform_B: Tensor, probability: float) -> Tensor:
    """(B,) bool, true with a probability; 0 is never, 1 always."""
    return uniform_B < probability


def between(uniform_B: Tensor, low: float, high: float) -> Tensor:
    """(B,) uniform in [low, high]."""
    return low + (high - low) * uniform_B


def check_number(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Refuse a parameter outside of its range.

    Raises:
        ConfigError: Naming the parameter, its value and what is possible.
    """
    if not (math.isfinite(value) and low <= value <= high):
        raise ConfigError(f"augmentation, {name} = {value}: it must be in {low:g} … {high:g}{unit}")


def check_range(name: str, pair: tuple[float, float], low: float, high: float, unit: str = "") -> None:
    """Refuse a range that is empty or reaches outside of what is possible.

    Raises:
        ConfigError: See ``check_number``.
    """
    for value in pair:
        check_number(name, value, low, high, unit)
    if pair[0] > pair[1]:
        raise ConfigError(
            f"augmentation, {name} = {list(pair)}: the first number must not be above the second"
        )
