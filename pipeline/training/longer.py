"""A run made longer: whether its first steps would have been the same had it been meant to last so long."""

from __future__ import annotations

from pipeline.errors import ConfigError
from pipeline.training.build import build_schedule
from pipeline.training.config.experiment import ExperimentConfig

LENGTH = frozenset({"training.steps", "training.epochs"})
_LOOKED_AT = 1000


def check_longer(config: ExperimentConfig, folder: str, before: int, after: int) -> None:
    """Refuse what would not be the same run, only longer.

    Args:
        config: Of the run as it is to go on.
        folder: Of the run, for the message.
        before: Its steps so far.
        after: Its steps from now on.

    Raises:
        ConfigError: It would be shorter, or its first steps would have been others.
    """
    start = f"choose another name=…, or start a new run from its weights with init.model={folder}"
    if after < before:
        raise ConfigError(
            f"run '{config.name}' has {before:,} steps, and {after:,} are asked for: it can be made longer, not shorter; {start}"
        )
    refused = f"run '{config.name}' cannot go on from {before:,} to {after:,} steps"
    old, new = build_schedule(config, before), build_schedule(config, after)
    for step in sorted({before * i // _LOOKED_AT for i in range(_LOOKED_AT)}):
        if old(step) != new(step):
            raise ConfigError(
                f"{refused}: schedule '{config.schedule.name}' depends on the length, so a run of {after:,} steps would have had "
                f"another rate from step {step:,} on; {start}"
            )
    if any(extra.shrink is not None for extra in config.data.extra):
        raise ConfigError(f"{refused}: data.extra.shrink depends on the length; {start}")
