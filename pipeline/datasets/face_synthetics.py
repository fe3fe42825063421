"""Microsoft's FaceSynthetics (Wood et al., "Fake It Till You Make It", ICCV 2021): rendered faces, 70 landmarks each.

``NNNNNN.png`` beside ``NNNNNN_ldmks.txt`` (a line "x y" per landmark, px) and ``NNNNNN_seg.png``, a mask that is not read. Where
(0, 0) lies is not written down; it is taken for the centre of the top-left pixel. All landmarks have a position, hidden or not,
and nothing says which are hidden: all count as visible.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datasets._checks import folder, lines, numbers
from pipeline.datasets._gather import Gathering
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import stored_file
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup

SUFFIX = "_ldmks.txt"


class FaceSynthetics:
    """Reader of FaceSynthetics. A face's name is its image's: ``000000.png``.

    Args:
        root: The unpacked folder.
        source: Name written beside every sample.

    Raises:
        DataError: No such folder.
    """

    def __init__(self, root: str, source: str = "face_synthetics") -> None:
        self.root = folder(root, "root", f"the images and their {SUFFIX} files")
        self.source = source

    @property
    def markup(self) -> Markup:
        """300-W's 68 landmarks and two pupils."""
        return load_markup("faces70")

    def records(self) -> list[FaceRecord]:
        """All faces, sorted by name. A malformed annotation, or one without image, is an ``Unusable``.

        Raises:
            DataError: No annotation at all.
        """
        visible_K = np.ones(self.markup.num_landmarks, dtype=bool)
        faces = Gathering(self.source)
        for path in sorted(self.root.glob(f"*{SUFFIX}")):
            name = path.name.removesuffix(SUFFIX) + ".png"
            with faces.entry(name):
                annotation = Annotation(read_landmarks(path, len(visible_K)), visible_K)
                faces.add(stored_file(self.root / name, source=self.source, name=name, annotation=annotation))
        return faces.ordered(self.root, f"files *{SUFFIX}")


def read_landmarks(path: Path, num_landmarks: int) -> np.ndarray:
    """(K, 2) float64, px, of one file.

    Raises:
        DataError: Naming file and line.
    """
    rows = [(number, line.split()) for number, line in enumerate(lines(path), start=1) if line.strip()]
    if len(rows) != num_landmarks:
        raise DataError(
            f"{path}: {len(rows)} lines with landmarks, expected {num_landmarks}; unpack it again"
        )
    points_K2 = np.empty((num_landmarks, 2))
    for k, (number, fields) in enumerate(rows):
        if len(fields) != 2:
            raise DataError(f"{path}, line {number}: {len(fields)} numbers, expected 'x y'; unpack it again")
        points_K2[k] = numbers(fields, f"{path}, line {number}", "number")
    return points_K2


READER = FaceSynthetics
