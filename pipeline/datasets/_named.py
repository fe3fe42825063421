"""Landmarks that an annotation tool exports by name: which landmark of the markup each name is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from pipeline.errors import DataError
from pipeline.markup import Markup


def landmark_numbers(labels: Iterable[str], markup: Markup, where: str) -> dict[str, int]:
    """Resolve the labels of a whole export.

    A markup with ``names`` has labels of these names. One without has numbers: 0 … K − 1 where a 0 occurs, 1 … K where a K does.

    Args:
        labels: All labels in the export.
        markup: Theirs.
        where: For messages.

    Returns:
        Label → landmark, 0-based. A label that is none is not in it: it is the face's that has it (``NamedPoints``).

    Raises:
        DataError: Numbers that may count from either.
    """
    found = sorted(set(labels))
    if markup.names is not None:
        numbers = {name: index for index, name in enumerate(markup.names)}
        return {label: numbers[label] for label in found if label in numbers}
    count = markup.num_landmarks
    digits = len(str(count))
    valid = [label for label in found if label.isdecimal() and len(label) <= digits and int(label) <= count]
    values = {int(label) for label in valid}
    if (0 in values) == (count in values):
        span = (
            f"{min(values)} to {max(values)}" if values else f"{', '.join(map(repr, found[:3]))}, not numbers"
        )
        raise DataError(
            f"{where}: landmarks are numbered {span}, which may count from 0 or from 1; add 'names' to the YAML of markup "
            f"'{markup.name}'"
        )
    first = 0 if 0 in values else 1
    return {label: int(label) - first for label in valid}


class NamedPoints:
    """A face's landmarks, filled in one by one.

    Args:
        markup: Theirs.
        numbers: What ``landmark_numbers`` says of the export's labels.
        where: For messages.
    """

    def __init__(self, markup: Markup, numbers: Mapping[str, int], where: str) -> None:
        self.where = where
        self.points_K2 = np.full((markup.num_landmarks, 2), np.nan)
        self.visible_K = np.zeros(markup.num_landmarks, dtype=bool)
        self._markup, self._numbers = markup, numbers
        self._given: set[int] = set()

    def add(self, label: str, x: float, y: float, *, visible: bool) -> None:
        """Set one landmark, px.

        Raises:
            DataError: The markup has none of that name, or it is given twice.
        """
        landmark = self._numbers.get(label)
        if landmark is None:
            names = self._markup.names
            known = f"the names of markup '{self._markup.name}' ({', '.join(names)})" if names else None
            raise DataError(
                f"{self.where}: '{label}' is none of {known}; rename it there or here"
                if known
                else f"{self.where}: '{label}' is no landmark's number; markup '{self._markup.name}' has "
                f"{self._markup.num_landmarks} and no names: add 'names' to its YAML"
            )
        if landmark in self._given:
            raise DataError(
                f"{self.where}: landmark '{label}' is given twice; remove one, or group the faces"
            )
        self._given.add(landmark)
        self.points_K2[landmark] = x, y
        self.visible_K[landmark] = visible

    @property
    def empty(self) -> bool:
        """Whether no landmark has a position."""
        return not self._given
