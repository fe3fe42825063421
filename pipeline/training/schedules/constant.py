"""One rate throughout: Robinson et al. drop none."""

from __future__ import annotations

from pipeline.training.schedules.base import Schedule


class Constant(Schedule):
    """1."""

    def after_warmup(self, step: int) -> float:
        """See the class."""
        return 1.0


SCHEDULE = Constant
