"""Half a cosine from the first rate to the last.

Source: Loshchilov & Hutter, "SGDR", ICLR 2017, eq. 5, without restarts.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from pipeline.training.schedules.base import Schedule, WarmupSteps


class Cosine(Schedule):
    """Falls over all that is left after the warm-up.

    Args:
        steps: Of the run.
        warmup_steps: Linear from 0.
        final: Last rate / first rate.
    """

    def __init__(
        self, steps: int, warmup_steps: WarmupSteps = 0, final: Annotated[float, Field(ge=0, le=1)] = 0.0
    ) -> None:
        super().__init__(steps, warmup_steps)
        self.final = final

    def after_warmup(self, step: int) -> float:
        """See the class."""
        after = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(after, 1.0)))


SCHEDULE = Cosine
