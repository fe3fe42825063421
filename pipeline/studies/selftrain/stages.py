"""The trainings of a self-training study, each the config of a run that ``landmarks train`` would take."""

from __future__ import annotations

from typing import Any

from pipeline.errors import ConfigError
from pipeline.shards.manifest import Manifest, join
from pipeline.storage import absolute
from pipeline.training.config.compose import with_values
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.selftrain import SelftrainConfig
from pipeline.training.plan import Plan


def check_selftrain(config: ExperimentConfig) -> SelftrainConfig:
    """The section, of a config that has all that rounds need.

    Raises:
        ConfigError: Naming what is missing.
    """
    section = config.selftrain
    if section is None:
        raise ConfigError(
            f"'{config.name}' has no section 'selftrain': set selftrain.pretrain_steps, at least"
        )
    if config.data.unlabelled is None:
        raise ConfigError(
            "selftrain labels unlabelled faces: name them in data.unlabelled, a corpus or {remainder: true}"
        )
    if config.data.validation is None:
        raise ConfigError("selftrain stops by the held-out faces: set data.validation")
    if len(config.name) > _LONGEST:
        raise ConfigError(f"name = '{config.name}': stages add to it; {_LONGEST} characters at most")
    return section


_LONGEST = 34  # a run's name holds 47


def study_folder(config: ExperimentConfig) -> str:
    """storage/name."""
    assert config.selftrain is not None  # the caller checked
    return absolute(join(config.selftrain.storage, config.name))


def pseudo_folder(config: ExperimentConfig, number: int) -> str:
    """Where the pseudo-labels of a round are."""
    return join(study_folder(config), f"pseudo/r{number}")


def teacher_config(config: ExperimentConfig) -> ExperimentConfig:
    """Round 0: the config's own training."""
    return _stage(config, f"{config.name}-r0-train", {})


def pretrain_config(
    config: ExperimentConfig, number: int, pseudo: Manifest, teacher: Plan
) -> ExperimentConfig:
    """A fresh generator on pseudo-labels alone.

    Args:
        config: Of the study.
        number: Of the round, from 1.
        pseudo: The round's pseudo-labels.
        teacher: Plan of round 0; the steps between validations are as there.
    """
    section = check_selftrain(config)
    values = {
        "seed": config.seed + number,
        "data.train": pseudo_folder(config, number),
        "data.labelled_count": None,
        "data.unlabelled": None,
        "data.unlabelled_count": None,
        "data.extra": [],
        # What annotators say of a face, and poses, are the labelled faces'.
        "data.focal_attributes": [],
        "data.balance.kind": "none",
        "unlabelled": {},
        "training.epochs": None,
        "training.steps": section.pretrain_steps,
        "optimizer.lr": section.pretrain_lr or config.optimizer.lr,
    }
    values |= _intervals(teacher, pseudo.samples / config.training.batch)
    return _stage(config, f"{config.name}-r{number}-pretrain", values)


def finetune_config(
    config: ExperimentConfig, number: int, pretrained: str, teacher: Plan
) -> ExperimentConfig:
    """The pretrained generator on the labels; from ``shrink.from_round`` on, with coarse pseudo-labels beside them.

    Args:
        config: Of the study.
        number: Of the round, from 1.
        pretrained: Folder of the run that pretrained it.
        teacher: Plan of round 0.
    """
    section, shrink = check_selftrain(config), None
    values: dict[str, Any] = {
        "seed": config.seed + number,
        "init": {"model": pretrained},
        "training.epochs": None,
        "training.steps": section.finetune_steps or teacher.steps,
        "optimizer.lr": section.finetune_lr or config.optimizer.lr,
    }
    train_batch = config.train_batch
    if section.shrink is not None and number >= section.shrink.from_round:
        shrink = section.shrink
        mixed = {
            "set": pseudo_folder(config, number),
            "share": shrink.share,
            "shrink": shrink.coarse.model_dump(),
        }
        values["data.extra"] = [*(extra.model_dump() for extra in config.data.extra), mixed]
        train_batch -= round(config.training.batch * shrink.share)
    values |= _intervals(teacher, teacher.epoch_faces / max(train_batch, 1))
    return _stage(config, f"{config.name}-r{number}-finetune", values)


def _intervals(teacher: Plan, steps_per_epoch: float) -> dict[str, float]:
    """Intervals in epochs of another length that are as many steps as in round 0."""
    steps = {
        "validate": teacher.validate_steps,
        "checkpoint": teacher.checkpoint_steps,
        "image": teacher.image_steps,
    }
    return {f"training.{name}_every": every / steps_per_epoch for name, every in steps.items()}


def _stage(config: ExperimentConfig, name: str, values: dict[str, Any]) -> ExperimentConfig:
    own = {
        "name": name,
        "cluster.storage": join(study_folder(config), "runs"),
        "tracking.register_as": None,
    }
    bare = config.model_copy(update={"tune": None, "scale": None, "selftrain": None})
    return with_values(bare, {**values, **own}, f"selftrain, {name}")
