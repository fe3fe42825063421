"""What a reader's records are like: how many, in how many images, with boxes or without, how large in their images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.datasets.face import Annotation, FaceRecord, Unusable
from pipeline.errors import DataError
from pipeline.markup import Markup

_OPENED = 40
"""Images whose size is looked up, evenly drawn."""
_FACES = 0.9
"""Share of the annotations that must lie as a face's do for their number of landmarks to be taken for a markup of faces."""


@dataclass(frozen=True)
class Survey:
    """Of the annotations that can be used.

    Attributes:
        images: Number of images they are in.
        shapes_NK2: Landmarks, px; NaN where unknown.
        boxes_N4: The data set's boxes, px; NaN where there is none.
        most_in_image: Annotations in the image that has most.
        fill: Median share of an image's longer side that an annotation spans; None where no image could be opened.
        unusable: Why the others cannot be used.
    """

    images: int
    shapes_NK2: np.ndarray
    boxes_N4: np.ndarray
    most_in_image: int
    fill: float | None
    unusable: tuple[str, ...]

    @property
    def count(self) -> int:
        """N."""
        return len(self.shapes_NK2)

    def extents(self) -> np.ndarray:
        """(N,) longer side of each annotation's bounding box, px."""
        return np.asarray(
            (np.nanmax(self.shapes_NK2, axis=1) - np.nanmin(self.shapes_NK2, axis=1)).max(axis=1)
        )


def survey(records: Sequence[FaceRecord], where: str) -> Survey:
    """Look at all records of a labelled set, and open a few of their images.

    Args:
        records: Of a reader.
        where: They are from, for messages.

    Raises:
        DataError: None of them can be used.
    """
    problems = tuple(record.problem for record in records if isinstance(record, Unusable))
    usable: list[tuple[str, Annotation]] = []
    for record in records:
        annotation = getattr(record, "annotation", None)
        if isinstance(annotation, Annotation):
            usable.append((str(getattr(record, "path", record.name)), annotation))
    if not usable:
        shown = "".join(f"\n  {problem}" for problem in problems[:3])
        raise DataError(f"{where}: none of its {len(records)} annotations can be used{shown}")
    paths = Counter(path for path, _ in usable)
    unknown = (np.nan,) * 4
    shares = [
        float(np.nanmax(np.ptp(known_N2, axis=0))) / side
        for path, annotation in usable[:: -(-len(usable) // _OPENED)]
        if (side := _longer_side(path)) is not None
        and len(known_N2 := annotation.points_K2[np.isfinite(annotation.points_K2).all(axis=1)])
    ]
    return Survey(
        images=len(paths),
        shapes_NK2=np.stack([annotation.points_K2 for _, annotation in usable]),
        boxes_N4=np.array([annotation.box or unknown for _, annotation in usable], dtype=np.float64),
        most_in_image=max(paths.values()),
        fill=float(np.median(shares)) if shares else None,
        unusable=problems,
    )


def _longer_side(path: str) -> int | None:
    try:
        with Image.open(path) as image:
            return max(image.size)
    except (OSError, ValueError, Image.DecompressionBombError):  # the preparation says what is wrong with it
        return None


def looks_like(markup: Markup, shapes_NK2: np.ndarray) -> bool:
    """Whether landmarks lie as a markup of faces has them: left eye left of the right one, the mouth below both, nose between."""
    if markup.five_points is None or shapes_NK2.shape[1] != markup.num_landmarks:
        return False
    five_N52 = np.stack([shapes_NK2[:, list(group)].mean(axis=1) for group in markup.five_points], axis=1)
    five_N52 = five_N52[np.isfinite(five_N52).all(axis=(1, 2))]
    if not len(five_N52):
        return False
    left, right, nose, left_mouth, right_mouth = five_N52.transpose(1, 0, 2)
    # Along the line from the eyes' middle to the mouth's, so that a face that is turned in the plane is one, too.
    eyes, mouth = (left + right) / 2, (left_mouth + right_mouth) / 2
    down = mouth - eyes
    across = np.stack([down[:, 1], -down[:, 0]], axis=1)
    along_nose = ((nose - eyes) * down).sum(axis=1) / np.maximum((down**2).sum(axis=1), 1e-9)
    sides = ((right - left) * across).sum(axis=1), ((right_mouth - left_mouth) * across).sum(axis=1)
    # In profile the two sides may swap by a little: of most faces they do not.
    return bool(((along_nose > 0) & (along_nose < 1) & (sides[0] > 0) & (sides[1] > 0)).mean() >= _FACES)
