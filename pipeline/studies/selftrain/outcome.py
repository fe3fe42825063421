"""What the rounds came to, and whether another one is worth its price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RoundOutcome:
    """A finished round.

    Attributes:
        number: 0 is the training without unlabelled faces' pseudo-labels.
        nme: Of the round's model on the held-out faces, %.
        pretrained_nme: Likewise, after pretraining on pseudo-labels alone; None of round 0.
        pseudo_labels: Faces with pseudo-labels; None of round 0.
        shrink: Whether fine-tuning saw pseudo-labels.
        steps: Optimizer steps of all its trainings.
        seconds: Of all its trainings.
        model: Folder of its model.
    """

    number: int
    nme: float
    pretrained_nme: float | None
    pseudo_labels: int | None
    shrink: bool
    steps: int
    seconds: float
    model: str


def best_round(rounds: Sequence[RoundOutcome]) -> RoundOutcome:
    """The lowest held-out error; of equals the earliest."""
    return min(rounds, key=lambda one: one.nme)


def goes_on(rounds: Sequence[RoundOutcome], most: int, min_gain: float) -> bool:
    """Whether another round follows.

    Args:
        rounds: Those finished, from round 0.
        most: Rounds after round 0, at most.
        min_gain: % of the lowest error before it that the last round must have taken off.
    """
    *before, last = rounds
    if last.number >= most:
        return False
    return not before or last.nme <= best_round(before).nme * (1 - min_gain / 100)
