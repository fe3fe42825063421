"""WFLW in its official layout (Wu et al., Look at Boundary, CVPR 2018): 98 landmarks, six attributes.

``WFLW_images`` beside ``WFLW_annotations``. A line of the train and test lists has 207 columns: 98 × (x, y), the detection box
(left, top, right, bottom), six attributes, the image; one of the attribute subsets' lists 197: neither box nor attributes.
Coordinates are taken as they are: the authors say no origin. Hidden landmarks are annotated at their guessed positions and
nothing marks them, so all are visible.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datasets._checks import below, box, folder, lines, numbers
from pipeline.datasets._gather import Gathering
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import listed_file, name_by_place
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup

ATTRIBUTES = ("pose", "expression", "illumination", "make_up", "occlusion", "blur")
_POINTS = 98
_WHOLE = "list_98pt_rect_attr_train_test/list_98pt_rect_attr_{}.txt"
_PART = "list_98pt_test/list_98pt_test_{}.txt"
_PARTS = ("largepose", "expression", "illumination", "makeup", "occlusion", "blur")
SUBSETS = ("train", "test", *(f"test/{part}" for part in _PARTS))


def parse_line(line: str, root: Path, where: str) -> tuple[str, Annotation]:
    """One line of a list.

    Args:
        line: 207 or 197 columns.
        root: The folder of images.
        where: File and line, for messages.

    Returns:
        The image's path below ``root``, and the annotation: (98, 2) points, px; attributes 0 or 1 where given.

    Raises:
        DataError: Naming the line and the column.
    """
    # The path comes last and may hold blanks.
    fields = line.split(maxsplit=2 * _POINTS)
    if len(fields) <= 2 * _POINTS:
        raise DataError(f"{where}: {len(fields)} columns, expected 207 or 197; download the list again")
    points_K2 = numbers(fields[: 2 * _POINTS], where, "column").reshape(_POINTS, 2)
    rest = fields[-1].split(maxsplit=10)
    given_box, attributes = None, {}
    if len(rest) == 11 and all(flag in {"0", "1"} for flag in rest[4:10]):
        given_box = box(numbers(rest[:4], where, "box's value").tolist(), where)
        attributes = {name: int(flag) for name, flag in zip(ATTRIBUTES, rest[4:10], strict=True)}
        name = rest[10]
    elif len(rest) >= 10 and "/" not in rest[0]:
        raise DataError(f"{where}: columns 201 to 206 are {rest[4:10]}, expected six of 0 and 1; correct it")
    else:
        name = fields[-1]
    visible_K = np.ones(_POINTS, dtype=bool)
    return below(name, root, where), Annotation(points_K2, visible_K, given_box, attributes)


class WFLW:
    """Reader of WFLW.

    An image may show several annotated faces, so a face's name ends in the mean of its landmarks
    (``39--Ice_Skating/a.jpg#252.5_287.1``): the same in every list.

    Args:
        root: The folder that holds ``WFLW_images`` and ``WFLW_annotations``.
        subset: ``train``, ``test`` or one of the test subsets, e.g. ``test/largepose``.
        source: Name written beside every sample.

    Raises:
        DataError: A folder or list does not exist, or there is no such subset.
    """

    def __init__(self, root: str, subset: str, source: str = "wflw") -> None:
        if subset not in SUBSETS:
            raise DataError(f"field 'subset' is {subset!r}: give one of {', '.join(SUBSETS)}")
        base = folder(root, "root", "WFLW_images and WFLW_annotations")
        self.source = source
        self.images = folder(str(base / "WFLW_images"), "root", "WFLW_images")
        part = subset.removeprefix("test/")
        self.list = base / "WFLW_annotations" / (_WHOLE if part == subset else _PART).format(part)
        if not self.list.is_file():
            raise DataError(f"{self.list}: no such list; unpack WFLW_annotations.tar.gz into 'root'")

    @property
    def markup(self) -> Markup:
        """The 98 landmarks of WFLW."""
        return load_markup("wflw98")

    def records(self) -> list[FaceRecord]:
        """All faces of the subset, sorted by name. A malformed line, a missing image or a face given twice is an ``Unusable``.

        Raises:
            DataError: An empty list.
        """
        faces = Gathering(self.source)
        for number, line in enumerate(lines(self.list), start=1):
            if not line.strip():
                continue
            where = f"{self.list}, line {number}"
            with faces.entry(f"{self.list.name}, line {number}"):
                name, annotation = parse_line(line, self.images, where)
                faces.add(
                    listed_file(
                        self.images / name,
                        where=where,
                        remedy="unpack WFLW_images.tar.gz into 'root'",
                        source=self.source,
                        name=name_by_place(name, annotation.points_K2),
                        annotation=annotation,
                    )
                )
        return faces.ordered(self.list, "faces")


READER = WFLW
