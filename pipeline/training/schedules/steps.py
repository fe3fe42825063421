"""A rate that drops at milestones."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.training.schedules.base import Schedule, WarmupSteps


def _shares(milestones: tuple[float, ...]) -> tuple[float, ...]:
    if not milestones or any(not 0 < milestone < 1 for milestone in milestones):
        raise ValueError(f"milestones are shares of the run, between 0 and 1, not epochs: {list(milestones)}")
    return milestones


class Steps(Schedule):
    """Multiplied by a factor at each milestone.

    Args:
        milestones: Shares of the run, between 0 and 1, e.g. (0.5, 0.75).
        steps: Of the run.
        warmup_steps: Linear from 0.
        factor: Of each drop.
    """

    def __init__(
        self,
        steps: int,
        milestones: Annotated[tuple[float, ...], AfterValidator(_shares)],
        warmup_steps: WarmupSteps = 0,
        factor: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__(steps, warmup_steps)
        self.milestones, self.factor = milestones, factor

    def after_warmup(self, step: int) -> float:
        """See the class."""
        progress = step / max(self.steps, 1)
        return self.factor ** sum(progress >= milestone for milestone in self.milestones)


SCHEDULE = Steps
