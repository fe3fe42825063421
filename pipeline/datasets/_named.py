"""Landmarks that an annotation tool exports by name: which landmark of the markup each name is."""

from __future__ import annotations

from collections.abc import Iterable

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
        Label → landmark, 0-based.

    Raises:
        DataError: A label that is no landmark, or numbers that may count from either.
    """
    found = sorted(set(labels))
    if markup.names is not None:
        numbers = {name: index for index, name in enumerate(markup.names)}
        for label in found:
            if label not in numbers:
                raise DataError(
                    f"{where}: '{label}' is none of the names of markup '{markup.name}' ({', '.join(markup.names)}); "
                    "rename it there or here"
                )
        return {label: numbers[label] for label in found}
    count = markup.num_landmarks
    for label in found:
        if not label.isdecimal() or int(label) > count:
            raise DataError(
                f"{where}: '{label}' is no landmark's number; markup '{markup.name}' has {count} and no names: "
                "add 'names' to its YAML"
            )
    values = {int(label) for label in found}
    if (0 in values) == (count in values):
        raise DataError(
            f"{where}: landmarks are numbered {min(values, default=0)} to {max(values, default=0)}, which may count from "
            f"0 or from 1; add 'names' to the YAML of markup '{markup.name}'"
        )
    first = 0 if 0 in values else 1
    return {label: int(label) - first for label in found}


class NamedPoints:
    """A face's landmarks, filled in one by one.

    Args:
        markup: Theirs.
        where: For messages.
    """

    def __init__(self, markup: Markup, where: str) -> None:
        self.where = where
        self.points_K2 = np.full((markup.num_landmarks, 2), np.nan)
        self.visible_K = np.zeros(markup.num_landmarks, dtype=bool)
        self._given: set[int] = set()

    def add(self, landmark: int, label: str, x: float, y: float, *, visible: bool) -> None:
        """Set one landmark, px.

        Raises:
            DataError: It is given twice.
        """
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
