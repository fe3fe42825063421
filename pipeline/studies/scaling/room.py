"""The room of a comparison: how much lower the error could get by labels alone, and which share of that a gain closes.

At a label budget with little room (error there less error at the largest budget, same recipe, same method and width) nothing
can be gained by any means; a gain is understood beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.studies.scaling.cells import Group
from pipeline.studies.scaling.gain import Comparison


@dataclass(frozen=True)
class Room:
    """What the largest label budget would take off.

    Attributes:
        group: Of the comparison.
        unlabelled: Of the comparison.
        labelled: The largest budget that was trained without unlabelled faces.
        error: Mean supervised error there, %.
        points: Supervised error at the group's budget less ``error``, percentage points; positive.
        closed: The gain in per cent of it; negative where there was harm, above 100 where the error is lower still.
        interval: Of ``closed``, from the gain's own, which takes the room as known; None with a single seed.
    """

    group: Group
    unlabelled: int
    labelled: int
    error: float
    points: float
    closed: float
    interval: tuple[float, float] | None


def room(comparison: Comparison, supervised: Mapping[Group, float]) -> Room | None:
    """The room of a comparison.

    Args:
        comparison: Of any verdict.
        supervised: Group → mean supervised error, %.

    Returns:
        None where no larger budget was trained, or more labels did not lower the error: then there is none.
    """
    group = comparison.group
    larger = [
        (other.labelled, error)
        for other, error in supervised.items()
        if (other.method, other.width) == (group.method, group.width) and other.labelled > group.labelled
    ]
    if not larger:
        return None
    labelled, error = max(larger)
    points = comparison.supervised - error
    if points <= 0:
        return None
    interval = None
    if comparison.interval is not None:
        low, high = comparison.interval
        interval = (100 * low / points, 100 * high / points)
    return Room(
        group, comparison.unlabelled, labelled, error, points, 100 * comparison.gain / points, interval
    )
