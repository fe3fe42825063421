"""The settings of a command: from what a user typed to a validated config."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import ConfigError
from pipeline.shards.prepare_config import PrepareConfig
from pipeline.storage import absolute
from pipeline.training.config.compose import compose, compose_raw, validate
from pipeline.training.config.experiment import ExperimentConfig, TrackingConfig


def experiment(path: str, overrides: Sequence[str]) -> ExperimentConfig:
    """The experiment a YAML and its overrides describe."""
    return compose(path, overrides, ExperimentConfig)


def prepare_config(path: str, overrides: Sequence[str]) -> PrepareConfig:
    """The ``prepare`` section of an experiment, or of a YAML that holds nothing else."""
    raw = compose_raw(path, overrides)
    if set(raw) == {"prepare"}:
        return validate(raw["prepare"], PrepareConfig, f"{path}: prepare")
    section = experiment(path, overrides).prepare
    if section is None:
        raise ConfigError(f"{path}: has no section 'prepare'; it trains on sets that another config makes")
    return section


def sets_of(arguments: Sequence[str]) -> tuple[list[str], int | None]:
    """Prepared sets named directly or through a config's ``data`` section, and the config's number of streams."""
    found: list[str] = []
    streams: int | None = None
    for argument in arguments:
        if not argument.endswith((".yaml", ".yml")):
            found.append(absolute(argument))
            continue
        data = experiment(argument, []).data
        streams = data.streams
        found += [absolute(s) for s in data.sets().values() if absolute(s) not in found]
    return found, streams


def tracking_of(arguments: Sequence[str]) -> dict[str, TrackingConfig]:
    """Where the configs among the arguments track to, by config."""
    return {a: experiment(a, []).tracking for a in arguments if a.endswith((".yaml", ".yml"))}
