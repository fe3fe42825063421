"""A finding of ``landmarks doctor``: what was looked at, what was seen, and what to do about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1
    FAILURE = 2


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: What.
        seen: In a few words.
        level: Warnings do not keep a run from working; failures do.
        remedy: Of anything but OK.
    """

    about: str
    seen: str
    level: Level = Level.OK
    remedy: str = ""

    def __post_init__(self) -> None:
        if (self.level is Level.OK) == bool(self.remedy):
            raise ValueError(
                f"finding '{self.about}': a remedy belongs to what is not in order, and to that alone"
            )


def judged(about: str, seen: str, bad: bool, remedy: str, level: Level = Level.WARNING) -> Finding:
    """A finding that is either in order or of one level."""
    return Finding(about, seen, level, remedy) if bad else Finding(about, seen)
