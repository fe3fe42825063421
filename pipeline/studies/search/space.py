"""A search space on a config: is every value possible, and what are the config's own values?"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from pipeline.errors import ConfigError
from pipeline.registry import Part, check
from pipeline.training.config.compose import value_at, with_values
from pipeline.training.config.experiment import PARTS, ExperimentConfig
from pipeline.training.config.tune import ParameterConfig, Value
from pipeline.training.config.unlabelled import ObjectiveConfig

_NOT_LEARNT = frozenset({"name", "seed", "tune", "scale", "prepare", "tracking", "cluster", "evaluation"})
_MEASURING = frozenset({"data.validation", "data.test", "training.select"})


def check_space(config: ExperimentConfig, space: Mapping[str, ParameterConfig]) -> None:
    """Try both ends of every range and every choice on the config, one at a time.

    Raises:
        ConfigError: A key that does not exist, or a value that its section refuses.
    """
    for key, parameter in space.items():
        if key.split(".")[0] in _NOT_LEARNT:
            raise ConfigError(
                f"tune.space: key '{key}' does not change what a run learns, or is the search's own: leave it out"
            )
        if key in _MEASURING:
            raise ConfigError(
                f"tune.space: key '{key}' says what a run is measured on: errors of different sets do not compare; leave it out"
            )
        for value in ends(parameter):
            with_values(config, {key: value}, f"tune.space.{key} = {value!r}")


def ends(parameter: ParameterConfig) -> tuple[Value, ...]:
    """The values of a choice, or the ends of a range."""
    if parameter.type == "choice":
        return parameter.values
    assert parameter.low is not None  # validated with the config
    assert parameter.high is not None
    convert = int if parameter.type == "int" else float
    return convert(parameter.low), convert(parameter.high)


def own_values(config: ExperimentConfig, space: Mapping[str, ParameterConfig]) -> dict[str, Value]:
    """The config's own value of every key of a space; of a part's parameter it does not spell out, the part's default.

    Raises:
        ConfigError: A key the config has no value for.
    """
    return {key: _own_value(config, key) for key in space}


def _own_value(config: ExperimentConfig, key: str) -> Value:
    try:
        value: Value = value_at(config, key)
        return value
    except KeyError:
        section, _, name = key.rpartition(".")
    try:
        kind = PARTS[re.sub(r"^unlabelled\.objectives\.\d+$", "unlabelled.objective", section)]
        schema = ObjectiveConfig if kind == "objective" else Part
        default: Value = check(kind, schema.model_validate(value_at(config, section)))[name]
        return default
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"tune.space: key '{key}' has no value in the config: write its default there first"
        ) from error


def values_hash(values: Mapping[str, Value]) -> str:
    """Eight hex digits that name a choice of values: the same values are the same run."""
    return hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:8]
