"""The parts that an experiment names, built."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from pipeline.augment.compose import Augmentation
from pipeline.errors import ConfigError
from pipeline.markup import Markup
from pipeline.methods.base import Method
from pipeline.methods.build import make_generator, make_method
from pipeline.methods.unlabelled.base import UnlabelledObjective
from pipeline.registry import Part, build
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.engines import build_engine
from pipeline.training.schedules.base import Schedule


def build_generator(config: ExperimentConfig, markup: Markup) -> nn.Module:
    """The network a config names."""
    return make_generator(config.model, markup, config.input_size)


def build_method(config: ExperimentConfig, markup: Markup, generator: nn.Module) -> Method:
    """The supervised loss and its way of reading the network, ``generator``, that it is for."""
    return make_method(config.method, config.loss, config.decoder, markup, config.input_size, generator)


def build_objectives(config: ExperimentConfig, markup: Markup) -> dict[str, UnlabelledObjective]:
    """The unlabelled objectives a config names, by their names, in its order; none for a supervised run.

    Raises:
        ConfigError: A value that an objective refuses; one that learns from the average of the weights where there is none.
    """
    objectives = {}
    for part in config.unlabelled.active:
        objective: UnlabelledObjective = build(
            "objective",
            part,
            num_landmarks=markup.num_landmarks,
            image_size=config.input_size,
            markup=markup,
            augmented=config.augmentation is not None,
        )
        if objective.needs_teacher and not config.training.ema_decay:
            raise ConfigError(
                f"objective '{part.name}' learns from the average of the generator's weights: set training.ema_decay, e.g. 0.99"
            )
        objectives[part.name] = objective
    return objectives


def build_augmentation(config: ExperimentConfig, markup: Markup) -> Augmentation | None:
    """The augmentation a config names, if any."""
    if config.augmentation is None:
        return None
    made: Augmentation = build("augmentation", config.augmentation, markup=markup)
    return made


def build_schedule(config: ExperimentConfig, steps: int) -> Schedule:
    """The learning-rate schedule a config names, for a run of so many steps."""
    schedule: Schedule = build("schedule", config.schedule, steps=steps)
    return schedule


def engine_builder(config: ExperimentConfig, world_size: int) -> Callable[[nn.Module, Part], Any]:
    """What makes an engine of a network and its optimizer, as a config has it for all networks of a run."""
    training = config.training
    return partial(
        build_engine,
        micro_batch=(training.batch + config.unlabelled_batch) // world_size,
        world_size=world_size,
        zero_stage=config.cluster.zero_stage,
        precision=training.precision,
        gradient_clipping=training.gradient_clipping,
        channels_last=training.channels_last,
    )


def count_parameters(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
