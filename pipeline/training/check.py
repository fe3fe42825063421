"""The check of an experiment's parts: one real step of theirs on two invented faces, before any process starts.

What a constructor's signature cannot show is found by running it: a loss that takes other arguments than it is called with, a
network whose heatmaps have another size than it says, an objective without a gradient. Everything is real, on the CPU and in
memory for moments; only the images are small where the network's size does not depend on theirs. Workers do not repeat it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
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
from pipeline.methods.unlabelled.base import UnlabelledObjective, views
from pipeline.models.output import as_output, traits
from pipeline.models.weights import without_pretrained
from pipeline.registry import Part, file_of, takes
from pipeline.shards.device import DeviceBatch
from pipeline.training.batches import augmented
from pipeline.training.build import (
    build_augmentation,
    build_generator,
    build_method,
    build_objectives,
    build_schedule,
    count_parameters,
)
from pipeline.training.compiler import leave_compiler_out
from pipeline.training.config.experiment import PARTS, ExperimentConfig
from pipeline.training.config.unlabelled import ObjectiveConfig
from pipeline.training.engines import make_optimizer
from pipeline.training.step import Stepper, Teaching

FACES = 2
"""Batch norm refuses a single value per channel."""
LEARNED_FROM = 8
"""Labelled faces that objectives are shown."""
_FIVE = [[0.35, 0.4], [0.65, 0.4], [0.5, 0.55], [0.38, 0.7], [0.62, 0.7]]
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
    parameters = count_parameters(generator)
    if not config.unlabelled.active:
        return Networks(parameters, 0, 1)
    objectives = build_objectives(config, markup)
    _check_objectives(config, generator, method, objectives, faces)
    own = [o.discriminator for o in objectives.values() if o.discriminator is not None]
    return Networks(parameters, sum(map(count_parameters, own)), views(objectives.values()))


def _check_objectives(
    config: ExperimentConfig,
    generator: nn.Module,
    method: Method,
    objectives: Mapping[str, UnlabelledObjective],
    faces: DeviceBatch,
) -> None:
    """One step with all of them at full strength, after they have seen labelled faces."""
    autocast = ("cpu", torch.bfloat16) if config.training.precision == "bf16" else None
    more = _invented(faces.points_BK2.shape[1], config.input_size, LEARNED_FROM)
    assert more.five_B52 is not None  # invented faces have them
    teachings = []
    for key, _, part in _objectives(config):
        objective = objectives[part.name]
        with _trying(config, key):
            objective.learn(more.five_B52, more.points_BK2)
        own, engine = objective.discriminator, None
        if own is not None:
            engine = _Engine(own, make_optimizer(own.parameters(), config.unlabelled.optimizer), autocast)
        teachings.append(Teaching(part.name, objective, part.weight, engine))
    teacher = None
    if any(objective.needs_teacher for objective in objectives.values()):
        teacher = copy.deepcopy(generator).eval().requires_grad_(False)
    engine = _Engine(generator, make_optimizer(generator.parameters(), config.optimizer), autocast)
    stepper = Stepper(engine, method, teachings, autocast, teacher)
    ramped = max(part.weight.start_step + part.weight.ramp_steps for part in config.unlabelled.active)
    with _trying(config, _objectives(config)[0][0]):
        for name, value in stepper(faces, faces, ramped).items():
            _require_finite(f"its '{name}'", value)


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


def _invented(num_landmarks: int, side: int, count: int = FACES) -> DeviceBatch:
    """Noise with landmarks, one of them unknown, and a detector's five points in its middle."""
    points_BK2 = (0.25 + 0.5 * torch.rand(count, num_landmarks, 2)) * side
    five_B52 = (torch.tensor(_FIVE) + 0.02 * torch.randn(count, 5, 2)) * side
    points_BK2[0, 0] = math.nan
    mask_BK = points_BK2.isfinite().all(-1)
    return DeviceBatch(
        images_B3HW=torch.rand(count, 3, side, side),
        points_BK2=points_BK2,
        mask_BK=mask_BK,
        visible_BK=mask_BK,
        valid_B=torch.ones(count, dtype=torch.bool),
        scale_B=torch.ones(count),
        keys=[f"invented-{face}" for face in range(count)],
        five_B52=five_B52,
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
        chosen = {key: (kind, part.name) for key, kind, part in _chosen(config)}
        files = {file_of(*part): key for key, part in chosen.items()}
        key = next((files[path] for path in reversed(frames(error)) if path in files), section)
        kind, name = chosen[key]
        raise ConfigError(
            f"{key}: {kind} '{name}' ({file_of(kind, name)}) cannot work: {told(error)}"
        ) from error


def _chosen(config: ExperimentConfig) -> Iterator[tuple[str, str, Part]]:
    """Key, kind and part of every section that chooses one."""
    for key, kind in PARTS.items():
        if kind != "objective" and (part := attrgetter(key)(config)) is not None:
            yield key, kind, part
    yield from _objectives(config)


def _objectives(config: ExperimentConfig) -> list[tuple[str, str, ObjectiveConfig]]:
    if config.unlabelled.objective is not None:
        return [("unlabelled.objective", "objective", config.unlabelled.objective)]
    return [
        (f"unlabelled.objectives.{place}", "objective", part)
        for place, part in enumerate(config.unlabelled.objectives)
    ]
