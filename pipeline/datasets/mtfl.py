"""MTFL (Zhang et al., Facial Landmark Detection by Deep Multi-task Learning, ECCV 2014): five landmarks, four attributes.

``training.txt`` and ``testing.txt`` beside the folders of images they name. A line: path (backslashes in one list, slashes
in the other), x1 … x5, y1 … y5 of left eye, right eye, nose, left and right mouth corner, then the codes of gender (1 male,
2 female), smile (1 yes, 2 no), glasses (1 yes, 2 no) and pose (1 left profile, 2 left, 3 frontal, 4 right, 5 right profile).
Coordinates are taken as they are: the authors say no origin.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datasets._checks import below, folder, lines, numbers
from pipeline.datasets._gather import Gathering
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import listed_file
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup

CODES = {"gender": 2, "smile": 2, "glasses": 2, "pose": 5}
"""Attribute → its codes are 1 … this."""


def parse_line(line: str, root: Path, where: str) -> tuple[str, Annotation]:
    """One line of a list.

    Returns:
        The image's path below ``root``, and the annotation: (5, 2) points, px, and the attributes' codes.

    Raises:
        DataError: Naming the line and the column.
    """
    fields = line.rsplit(maxsplit=14)
    if len(fields) != 15:
        raise DataError(f"{where}: {len(fields)} columns, expected 15; download the list again")
    points_K2 = numbers(fields[1:11], where, "coordinate").reshape(2, 5).T.copy()
    attributes = {}
    for (name, highest), code in zip(CODES.items(), fields[11:], strict=True):
        if code not in {str(value) for value in range(1, highest + 1)}:
            raise DataError(f"{where}: {name} is {code!r}, expected 1 to {highest}; correct the list")
        attributes[name] = int(code)
    return below(fields[0], root, where), Annotation(points_K2, np.ones(5, dtype=bool), attributes=attributes)


class MTFL:
    """Reader of MTFL.

    Args:
        root: The folder that holds ``training.txt``, ``testing.txt``, ``AFLW``, ``lfw_5590`` and ``net_7876``.
        subset: ``training`` or ``testing``.
        source: Name written beside every sample.

    Raises:
        DataError: The folder or the list does not exist, or there is no such subset.
    """

    def __init__(self, root: str, subset: str, source: str = "mtfl") -> None:
        if subset not in {"training", "testing"}:
            raise DataError(f"field 'subset' is {subset!r}: give 'training' or 'testing'")
        self.root = folder(root, "root", "training.txt, testing.txt and the images' folders")
        self.source = source
        self.list = self.root / f"{subset}.txt"
        if not self.list.is_file():
            raise DataError(f"{self.list}: no such list; unpack MTFL.zip into 'root'")

    @property
    def markup(self) -> Markup:
        """The five landmarks of MTFL."""
        return load_markup("mtfl5")

    def records(self) -> list[FaceRecord]:
        """All faces, sorted by name. A malformed line, a missing image or one given twice is an ``Unusable``.

        Raises:
            DataError: An empty list.
        """
        faces = Gathering(self.source)
        for number, line in enumerate(lines(self.list), start=1):
            if not line.strip():  # the official lists end in such lines
                continue
            where = f"{self.list}, line {number}"
            with faces.entry(f"{self.list.name}, line {number}"):
                name, annotation = parse_line(line, self.root, where)
                faces.add(
                    listed_file(
                        self.root / name,
                        where=where,
                        remedy="unpack MTFL.zip into 'root'",
                        source=self.source,
                        name=name,
                        annotation=annotation,
                    )
                )
        return faces.ordered(self.list, "faces")


READER = MTFL
