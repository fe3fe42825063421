"""What a user is told while a run trains: objectives that do not act, or went wrong; each once, and only when it lasts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.training.step import Teaching

INERT = (
    1e-3  # share of the supervised gradient below which an objective changes nothing that could be measured
)
_LASTS = 5  # windows of logged metrics in a row


class Complaints:
    """Looks at every window of logged metrics.

    Args:
        teachings: Objectives of the run.
    """

    def __init__(self, teachings: Sequence[Teaching]) -> None:
        self._teachings = teachings
        self._in_a_row: Counter[str] = Counter()
        self._told: set[str] = set()

    def look(self, metrics: Mapping[str, float], step: int) -> list[str]:
        """What is to be told now.

        Args:
            metrics: Means of a window.
            step: Optimizer steps done.
        """
        found = []
        for teaching in self._teachings:
            name, weight = teaching.name, teaching.weight
            share = metrics.get(f"share/{name}")
            # While the ramp rises an objective is weak because it shall be.
            inert = share is not None and share < INERT and weight.ramp(step) == 1.0
            inert_text = inert and (
                f"objective '{name}' hardly acts: its gradient is {share:.1e} of the supervised one; weigh it by a share, "
                f"weight: {{share: {type(teaching.objective).weight.share or 0.1:g}}}"
            )
            for kind, text, lasts in (
                ("inert", inert_text or None, 1),
                ("own", teaching.objective.complaint(metrics), _LASTS),
            ):
                key = f"{name}/{kind}"
                self._in_a_row[key] = self._in_a_row[key] + 1 if text else 0
                if text and self._in_a_row[key] >= lasts and key not in self._told:
                    self._told.add(key)
                    found.append(text if kind == "inert" else f"objective '{name}': {text}")
        return found
