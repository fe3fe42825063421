"""The worth of a gain in labelled faces: how many more of them would have bought it without unlabelled ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.studies.scaling.cells import Group
from pipeline.studies.scaling.gain import Comparison


@dataclass(frozen=True)
class Worth:
    """Labelled faces that a gain stands for.

    Attributes:
        group: Where the gain was shown.
        unlabelled: With how many unlabelled faces.
        labelled: Labelled faces with which supervised training would reach the same error.
        between: The label budgets it was interpolated between.
    """

    group: Group
    unlabelled: int
    labelled: float
    between: tuple[int, int]

    @property
    def more(self) -> float:
        """Labelled faces on top of those there were."""
        return self.labelled - self.group.labelled


def worth(comparison: Comparison, supervised: Mapping[Group, float]) -> Worth | None:
    """Interpolate the supervised error against labelled faces, both logarithmic, at the semi-supervised error.

    Args:
        comparison: Only a shown gain is worth anything.
        supervised: Group → mean supervised error, %.

    Returns:
        None where no gain was shown, or the error lies beyond the measured budgets: never extrapolated; nor where
        more labels did not lower the supervised error between the budgets it would lie between.
    """
    group, error = comparison.group, comparison.semi_supervised
    if comparison.verdict != "gain":
        return None
    curve = sorted(
        (other.labelled, value)
        for other, value in supervised.items()
        if (other.method, other.width) == (group.method, group.width) and other.labelled >= group.labelled
    )
    for (few, above), (many, below) in pairwise(curve):
        if below >= above:
            return None
        if below <= error <= above:
            share = np.log(above / error) / np.log(above / below)
            return Worth(group, comparison.unlabelled, float(few * (many / few) ** share), (few, many))
    return None
