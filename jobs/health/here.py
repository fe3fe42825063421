"""Everything that ``landmarks doctor`` looks at from where it is."""

from __future__ import annotations

from jobs.health.finding import Finding
from jobs.health.machine import examine_machine
from jobs.health.shared import examine_shared
from pipeline.training.config.experiment import ExperimentConfig


def examine(config: ExperimentConfig | None) -> list[Finding]:
    """All findings about the machine this process runs on."""
    found = examine_machine(gpu=config is not None and config.cluster.gpu)
    return found if config is None else [*found, *examine_shared(config)]
