"""A measured difference of two markups: where the landmarks of one lie from those of another that go by the same name.

Annotators of 300-W put the nose wing at the base of the nostril, those of LFPW on its outer edge: a model that is perfect in one
markup errs in the other. What is systematic is taken off as an offset, what is left is the mapping's floor: no model can be
measured to be closer than that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ConfigError

_FIELDS = {"floor", "measured", "offsets"}


@dataclass(frozen=True)
class MarkupDifference:
    """What is known of a mapping between two markups from faces that were annotated in both.

    Attributes:
        floor: Mean distance of the mapped from the true landmarks that is left after the offsets, % of the ocular distance.
        measured: On what, in a sentence.
        offsets: (target landmark, (along, down)) pairs: from the mean of a landmark's sources to where it truly is, in shares of
            the ocular distance; along the line from the left to the right outer eye corner, and at a right angle to it.
    """

    floor: float
    measured: str
    offsets: tuple[tuple[int, tuple[float, float]], ...] = ()

    @property
    def definition(self) -> dict[str, Any]:
        """The fields of its YAML; ``difference_from`` reads them back."""
        return {
            "floor": self.floor,
            "measured": self.measured,
            "offsets": {landmark: list(offset) for landmark, offset in self.offsets},
        }


def difference_from(raw: Any) -> MarkupDifference:
    """A difference from what a markup's YAML says.

    Raises:
        ConfigError: Malformed.
    """
    if not isinstance(raw, Mapping) or not {"floor", "measured"} <= set(raw) <= _FIELDS:
        raise ConfigError("a difference has the fields floor, measured and, where there are any, offsets")
    offsets = raw.get("offsets") or {}
    if not isinstance(offsets, Mapping):
        raise ConfigError("'offsets' is no mapping: write {landmark: [along, down]}")
    return MarkupDifference(
        floor=_number(raw["floor"], "floor"),
        measured=str(raw["measured"]),
        offsets=tuple((_landmark(landmark), _offset(offset)) for landmark, offset in offsets.items()),
    )


def _landmark(landmark: Any) -> int:
    # JSON, which manifests are, has names for keys.
    if isinstance(landmark, str) and landmark.isdecimal():
        return int(landmark)
    if type(landmark) is not int:
        raise ConfigError(f"'offsets': {landmark!r} is no landmark number")
    return landmark


def _offset(offset: Any) -> tuple[float, float]:
    if not isinstance(offset, list | tuple) or len(offset) != 2:
        raise ConfigError(f"'offsets': {offset!r} is no pair [along, down]")
    return _number(offset[0], "offsets"), _number(offset[1], "offsets")


def _number(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"'{field}': {value!r} is no number")
    return float(value)
