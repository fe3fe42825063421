"""The records that every reader yields: cheap to list and to pickle, they load their image when asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from pipeline.errors import DataError
from pipeline.markup import Markup

Reason = Literal["unreadable", "bad_annotation", "wrong_size"]
"""Why an entry of a data set gives no face."""


class UnusableError(DataError):
    """What is wrong with one face of a data set; the others are not concerned.

    Args:
        problem: File, line or field, and the remedy.
        reason: Its kind.
    """

    def __init__(self, problem: str, reason: Reason) -> None:
        super().__init__(problem)
        self.reason: Reason = reason

    def __reduce__(self) -> tuple[type[UnusableError], tuple[str, Reason]]:
        return type(self), (str(self), self.reason)  # it travels between processes


@dataclass(frozen=True)
class Annotation:
    """What is known of a face besides its image.

    Attributes:
        points_K2: (K, 2) float64 landmarks, (x, y) px, pixel-centre convention (the top-left pixel's centre is (0, 0)).
        visible_K: (K,) bool; False where a landmark is occluded or its position is not known.
        box: (left, top, right, bottom) px as the data set gives it, or None.
        attributes: Whatever else the data set says (pose, occlusion, …), JSON values.
    """

    points_K2: np.ndarray
    visible_K: np.ndarray
    box: tuple[float, float, float, float] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FaceImage:
    """A decoded image with its annotation, if any.

    Attributes:
        image_HW3: (H, W, 3) uint8 RGB.
        annotation: None for an unlabelled image.
        content: The bytes whose hash identifies the image (the encoded file; raw pixels for a rendered one).
    """

    image_HW3: np.ndarray
    annotation: Annotation | None
    content: bytes


@runtime_checkable
class FaceRecord(Protocol):
    """One image of a data set, not yet read. Picklable: it travels to Ray workers."""

    @property
    def source(self) -> str:
        """Name of the data set, e.g. ``300w``."""

    @property
    def name(self) -> str:
        """The image's name within its data set, stable and unique, forward slashes, e.g. ``helen/trainset/1_1.jpg``."""

    def load(self) -> FaceImage:
        """Read and decode the image.

        Raises:
            DataError: The file is missing, truncated or no image; the message names it. ``UnusableError`` says the kind.
        """


@dataclass(frozen=True)
class Unusable:
    """An entry that gives no face: a malformed annotation, a missing image. A ``FaceRecord`` that never loads.

    So one bad entry neither ends a preparation nor vanishes: it is left out and listed, as an image that cannot be read.

    Attributes:
        source: Name of the data set.
        name: What the list of rejects calls it: the image's name where it is known, else file and line.
        reason: The kind of problem.
        problem: File, line or field, and the remedy.
    """

    source: str
    name: str
    reason: Reason
    problem: str

    def load(self) -> FaceImage:
        """Raises UnusableError."""
        raise UnusableError(self.problem, self.reason)

    def fingerprint(self) -> str:
        """Not the problem: it names the folder, which may move."""
        return self.reason


@runtime_checkable
class FaceReader(Protocol):
    """A data set. Constructing it checks that the source exists; ``records`` checks every annotation."""

    @property
    def markup(self) -> Markup | None:
        """The markup of its landmarks, or None for an unlabelled set."""

    def records(self) -> Sequence[FaceRecord]:
        """All images in a fixed order (sorted by name); what is wrong with a single one is an ``Unusable``.

        Raises:
            DataError: Naming the file, the field and the remedy: what is wrong with the whole set, e.g. a missing folder, an
                empty set, a table without one of its columns.
        """
