"""What a schedule is: the learning rate as a pure function of the step, so that a resume needs no scheduler state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated

from pydantic import Field

WarmupSteps = Annotated[int, Field(ge=0)]


class Schedule(ABC):
    """Factor on the base rate, of generator and discriminator alike.

    Args:
        steps: Of the run.
        warmup_steps: At its start the factor rises linearly from 0.
    """

    def __init__(self, steps: int, warmup_steps: WarmupSteps = 0) -> None:
        self.steps, self.warmup_steps = steps, warmup_steps

    def __call__(self, step: int) -> float:
        """Factor for an optimizer step, counted from 0."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return self.after_warmup(step)

    @abstractmethod
    def after_warmup(self, step: int) -> float:
        """Factor for a step, counted from the start of the run."""
