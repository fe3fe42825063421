"""The check of an experiment's parts: one real step of theirs on two invented faces, before any process starts.

What a constructor's signature cannot show is found by running it: a loss that takes other arguments than it is called with, a
network whose heatmaps have another size than it says, an objective without a gradient. Everything is real, on the CPU and in
memory for moments; only the images are small where the network's size does not depend on theirs. Workers do not repeat it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.augment.draws import step_generator
from pipeline.errors import ConfigError, LandmarkError, frames, told
from pipeline.markup import Markup
from pipeline.methods.base import Method
from pipeline.models.output import as_output, traits
from pipeline.models.weights import without_pretrained
from pipeline.registry import file_of, takes
from pipeline.training.batches import DeviceBatch, augmented
from pipeline.training.build import (
    build_augmentation,
    build_generator,
    build_method,
    build_objective,
    build_schedule,
    count_parameters,
)
from pipeline.training.compiler import leave_compiler_out
from pipeline.training.config.experiment import PARTS, ExperimentConfig
from pipeline.training.engines import make_optimizer
from pipeline.training.step import Stepper

FACES = 2
"""Batch norm refuses a single value per channel."""
_SMALL, _CELLS = 32, 16
"""Images have at least so many px a side, and heatmaps so many cells: what the network asks for rounds it up."""


@dataclass(frozen=True)
class Networks:
    """What is known of an experiment's networks once they have been built.

    Attributes:
        generator: Trainable parameters.
        discriminator: Of the objective's own network; 0 without one.
        views: Images the generator sees per unlabelled image.
    """

    generator: int
    discriminator: int
    views: int


def check_parts(config: ExperimentConfig, markup: Markup, steps: int) -> Networks:
    """Run every part once.

    Args:
        config: The experiment.
        markup: Of its labelled set.
        steps: Of the run, for the schedule.

    Raises:
        ConfigError: A part that cannot work, alone or with the others: its key, its file, and what happened.
    """
    leave_compiler_out()
    check_schedule(config, steps)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        generator = build_generator(config, markup)
        promised = traits(generator)
        side, multiple = config.input_size, promised.input_multiple
        if side % multiple:
            raise ConfigError(
                f"input_size = {side}: model '{config.model.name}' with these parameters needs a multiple of {multiple}"
            )
        small = -(-max(_SMALL, _CELLS * promised.stride) // multiple) * multiple
        if small < side:
            try:
                return _step(config.model_copy(update={"input_size": small}), markup, generator)
            except LandmarkError:
                # A network may be made for its size alone: what counts is whether it works at that.
                generator = build_generator(config, markup)
        return _step(config, markup, generator)


def check_schedule(config: ExperimentConfig, steps: int) -> None:
    """Ask the schedule for a few factors.

    Raises:
        ConfigError: One that is no rate.
    """
    schedule = build_schedule(config, steps)
    with _trying(config, "schedule"):
        for step in sorted({0, steps // 2, steps - 1}):
            factor = schedule(step)
            if not (isinstance(factor, int | float) and math.isfinite(factor) and factor >= 0):
                raise ValueError(f"the factor of step {step} is {factor!r}; it must be a number of 0 or more")


def _step(config: ExperimentConfig, markup: Markup, generator: nn.Module) -> Networks:
    """One step of all parts at ``config.input_size``; ``generator`` may be of another size where it does not mind."""
    if takes("model", config.model.name, "input_size"):
        with without_pretrained():
            generator = build_generator(config, markup)
    method = build_method(config, markup, generator)
    faces = _invented(markup.num_landmarks, config.input_size)
    augmentation = build_augmentation(config, markup)
    if augmentation is not None:
        with _trying(config, "augmentation"):
            changed = augmented(faces, augmentation, step_generator(config.seed, 0))
            _require_faces(changed, faces)
    _check_supervised(config, generator.train(), method, faces)
    if config.unlabelled.objective is None:
        return Networks(count_parameters(generator), 0, 1)
    objective = build_objective(config, markup)
    own = objective.discriminator
    autocast = ("cpu", torch.bfloat16) if config.training.precision == "bf16" else None
    stepper = Stepper(
        _Engine(generator, make_optimizer(generator.parameters(), config.optimizer), autocast),
        method,
        None
        if own is None
        else _Engine(own, make_optimizer(own.parameters(), config.unlabelled.optimizer), autocast),
        objective,
        config.unlabelled.weight,
        autocast,
        copy.deepcopy(generator).eval().requires_grad_(False) if objective.needs_teacher else None,
    )
    with _trying(config, "unlabelled.objective"):
        for name, value in stepper(faces, faces).items():
            _require_finite(f"its '{name}'", value)
    return Networks(count_parameters(generator), 0 if own is None else count_parameters(own), objective.views)


def _check_supervised(
    config: ExperimentConfig, generator: nn.Module, method: Method, faces: DeviceBatch
) -> None:
    autocast = torch.autocast("cpu", torch.bfloat16) if config.training.precision == "bf16" else nullcontext()
    with _trying(config, "optimizer"):
        optimizer = make_optimizer(generator.parameters(), config.optimizer)
    with _trying(config, "model"), autocast:
        output = as_output(generator(faces.images_B3HW))
    with _trying(config, "loss"):
        loss, _ = method.supervised(output, faces.points_BK2, faces.mask_BK)
        if loss.ndim != 0 or not loss.requires_grad:
            raise ValueError(f"a loss is one number with a gradient, not {loss!r}")
        _require_finite("its value", loss)
        loss.backward()
    if not any(p.grad is not None for p in generator.parameters()):
        raise ConfigError(
            f"loss '{config.loss.name}' has no gradient on any weight of model '{config.model.name}'"
        )
    with _trying(config, "optimizer"):
        optimizer.step()
    with _trying(config, "decoder" if config.decoder is not None else "method"), torch.no_grad():
        points_BK2 = method.decode(output).points_BK2
        if points_BK2.shape != faces.points_BK2.shape:
            raise ValueError(f"points are {tuple(points_BK2.shape)}, not {tuple(faces.points_BK2.shape)}")
        _require_finite("the points", points_BK2)


@dataclass
class _Engine:
    """A network and its optimizer, called as the step calls DeepSpeed's engines."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    autocast: tuple[str, torch.dtype] | None

    def __call__(self, images: Tensor) -> Any:
        with torch.autocast(*self.autocast) if self.autocast else nullcontext():
            return self.module(images)

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()


def _invented(num_landmarks: int, side: int) -> DeviceBatch:
    """Noise with landmarks in its middle, one of them unknown."""
    points_BK2 = (0.25 + 0.5 * torch.rand(FACES, num_landmarks, 2)) * side
    points_BK2[0, 0] = math.nan
    mask_BK = points_BK2.isfinite().all(-1)
    return DeviceBatch(
        images_B3HW=torch.rand(FACES, 3, side, side),
        points_BK2=points_BK2,
        mask_BK=mask_BK,
        visible_BK=mask_BK,
        valid_B=torch.ones(FACES, dtype=torch.bool),
        scale_B=torch.ones(FACES),
        keys=[f"invented-{face}" for face in range(FACES)],
    )


def _require_faces(changed: DeviceBatch, faces: DeviceBatch) -> None:
    for name in ("images_B3HW", "points_BK2", "mask_BK", "visible_BK"):
        now, before = getattr(changed, name), getattr(faces, name)
        if (now.shape, now.dtype) != (before.shape, before.dtype):
            raise ValueError(
                f"made {name} {now.dtype} {tuple(now.shape)} of {before.dtype} {tuple(before.shape)}"
            )
    _require_finite("the images", changed.images_B3HW)


def _require_finite(what: str, values: Tensor) -> None:
    if not values.isfinite().all():
        raise ValueError(f"{what} on noise: {values.flatten()[:4].tolist()}, which is not finite")


@contextmanager
def _trying(config: ExperimentConfig, section: str) -> Iterator[None]:
    """Whatever is raised within becomes a ConfigError that names a part.

    The part in whose file it was raised, innermost first; else the one that ``section`` chooses.
    """
    try:
        yield
    except LandmarkError:
        raise
    except Exception as error:  # a user's part may raise anything
        files = {file_of(kind, part.name): key for key, kind, part in _chosen(config)}
        key = next((files[path] for path in reversed(frames(error)) if path in files), section)
        kind, name = PARTS[key], attrgetter(key)(config).name
        raise ConfigError(
            f"{key}: {kind} '{name}' ({file_of(kind, name)}) cannot work: {told(error)}"
        ) from error


def _chosen(config: ExperimentConfig) -> Iterator[tuple[str, str, Any]]:
    for key, kind in PARTS.items():
        part = attrgetter(key)(config)
        if part is not None:
            yield key, kind, part
