"""A run's ``config.yaml``, read back."""

from __future__ import annotations

import yaml

from pipeline.errors import ConfigError
from pipeline.storage import read_text
from pipeline.training.config.compose import validate
from pipeline.training.config.experiment import ExperimentConfig


def stored_config(url: str) -> ExperimentConfig | None:
    """The config a run was started with; None where there is no such file.

    Raises:
        ConfigError: It is no config any more.
    """
    try:
        text = read_text(url)
        raw = None if text is None else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no UTF-8 is a ValueError
        raise ConfigError(
            f"{url}: damaged, no YAML ({type(error).__name__}); bring it back, or remove the folder to start afresh"
        ) from error
    if text is None:
        return None
    if not isinstance(raw, dict):
        raise ConfigError(
            f"{url}: damaged, no mapping of sections; bring it back, or remove the folder to start afresh"
        )
    return validate(raw, ExperimentConfig, url)
