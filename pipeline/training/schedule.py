"""The learning rate as a pure function of the step, so that a resume needs no scheduler state."""

from __future__ import annotations

import math

from pipeline.training.config.experiment import ScheduleConfig


def multiplier(config: ScheduleConfig, step: int, total: int) -> float:
    """Factor on the base rate for optimizer step ``step`` (0-based) of ``total``."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = step / max(total, 1)
    if config.name == "steps":
        return config.factor ** sum(progress >= milestone for milestone in config.milestones)
    if config.name == "cosine":
        after = (step - config.warmup_steps) / max(total - config.warmup_steps, 1)
        return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * min(after, 1.0)))
    return 1.0
