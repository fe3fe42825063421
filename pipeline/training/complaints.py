"""What a user is told while a run trains: objectives that do not act, or went wrong; each once, and only when it lasts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.training.step import Teaching

INERT = (
    1e-3  # share of the supervised gradient below which an objective changes nothing that could be measured
)
_LASTS = 3  # windows of logged metrics in a row


class Complaints:
    """Looks at every window of logged metrics.

    Args:
        teachings: Objectives of the run.
    """

    def __init__(self, teachings: Sequence[Teaching]) -> None:
        self._teachings = teachings
        self._in_a_row: Counter[tuple[str, str]] = Counter()
        self._told: set[tuple[str, str]] = set()

    def look(self, metrics: Mapping[str, float], step: int) -> list[str]:
        """What is to be told now.

        Args:
            metrics: Means of a window.
            step: Optimizer steps done.
        """
        found = []
        for teaching in self._teachings:
            for kind, text in (
                ("share", self._of_share(teaching, metrics, step)),
                ("own", teaching.objective.complaint(metrics)),
            ):
                key = (teaching.name, kind)
                self._in_a_row[key] = self._in_a_row[key] + 1 if text else 0
                if text and self._in_a_row[key] >= _LASTS and key not in self._told:
                    self._told.add(key)
                    found.append(f"objective '{teaching.name}': {text}")
        return found

    @staticmethod
    def _of_share(teaching: Teaching, metrics: Mapping[str, float], step: int) -> str | None:
        share = metrics.get(f"share/{teaching.name}")
        # While the ramp rises an objective is weak because it shall be.
        if share is None or share >= INERT or teaching.weight.ramp(step) < 1.0:
            return None
        if teaching.weight.share is not None:
            return "it has had no gradient: nothing of the unlabelled faces reaches the generator"
        advised = type(teaching.objective).weight.share or 0.1
        return (
            f"it hardly acts: its gradient is {share:.1e} of the supervised one; weigh it by a share of that, "
            f"weight: {{share: {advised:g}}}"
        )
