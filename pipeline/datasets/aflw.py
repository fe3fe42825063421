"""AFLW in the 19-point protocol (Köstinger et al., ICCVW 2011; Zhu et al., Cascaded Compositional Learning, CVPR 2016).

``AFLWinfo_release.mat`` (MATLAB 5) of 24,386 faces: ``data`` N × 38 (19 x, then 19 y), ``mask_new`` N × 19 (1 visible), ``bbox``
N × 4 (left, right, top, bottom), ``nameList``, and ``ra``, a permutation whose first 20,000 are for training. Coordinates are
MATLAB's: 1 is subtracted. An invisible landmark keeps its position where one is given; (0, 0) and below is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.datasets._checks import below, box, file, folder
from pipeline.datasets._gather import Gathering
from pipeline.datasets._mat import read_mat
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import listed_file
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup

_POINTS = 19
TRAINING = 20_000
"""So many of ``ra`` are for training."""
SUBSETS = ("train", "test", "frontal")


def annotation_from(data: np.ndarray, mask: np.ndarray, bbox: np.ndarray, where: str) -> Annotation:
    """One face.

    Args:
        data: (38,) 19 x, 19 y; 1-based px.
        mask: (19,) 1 visible, 0 not.
        bbox: (4,) left, right, top, bottom; 1-based px.
        where: For messages.

    Raises:
        DataError: A visible landmark without position, a mask that is neither 0 nor 1, an empty box, no landmark at all.
    """
    if not np.isin(mask, (0, 1)).all():
        raise DataError(f"{where}: 'mask_new' is neither 0 nor 1; download the file again")
    visible_K = mask == 1
    points_K2 = data.reshape(2, _POINTS).T.astype(np.float64)
    unknown_K = ~np.isfinite(points_K2).all(axis=1) | ((points_K2 <= 0).all(axis=1) & ~visible_K)
    if (unknown_K & visible_K).any():
        landmark = int(np.flatnonzero(unknown_K & visible_K)[0])
        raise DataError(
            f"{where}: landmark {landmark} is visible and has no position; download the file again"
        )
    if unknown_K.all():
        raise DataError(f"{where}: no landmark has a position; download the file again")
    points_K2 = np.where(unknown_K[:, None], np.nan, points_K2 - 1.0)
    left, right, top, bottom = (float(value) - 1.0 for value in bbox)
    return Annotation(points_K2, visible_K, box((left, top, right, bottom), where))


class AFLW:
    """Reader of AFLW. An image may show several faces, so a face's name ends in its row: ``3/image00002.jpg#17``.

    Args:
        path: ``AFLWinfo_release.mat``.
        root: The folder that holds AFLW's ``0``, ``2`` and ``3`` (``data/flickr``).
        subset: ``train`` (20,000), ``test`` (4,386), or ``frontal``: the test faces whose landmarks are all visible.
        source: Name written beside every sample.

    Raises:
        DataError: A file or folder does not exist, or there is no such subset.
    """

    def __init__(self, path: str, root: str, subset: str, source: str = "aflw") -> None:
        if subset not in SUBSETS:
            raise DataError(f"field 'subset' is {subset!r}: give one of {', '.join(SUBSETS)}")
        self.path = file(path, "path", "AFLWinfo_release.mat")
        self.root = folder(root, "root", "AFLW's folders 0, 2 and 3")
        self.subset, self.source = subset, source

    @property
    def markup(self) -> Markup:
        """The 19 landmarks of AFLW."""
        return load_markup("aflw19")

    def records(self) -> list[FaceRecord]:
        """All faces of the subset, sorted by name. A malformed row or a missing image is an ``Unusable``.

        Raises:
            DataError: Arrays of unexpected shape.
        """
        content = read_mat(self.path, ("data", "mask_new", "bbox", "nameList", "ra"))
        data, mask, bbox = content["data"], content["mask_new"], content["bbox"]
        names, order = content["nameList"].reshape(-1), content["ra"].reshape(-1).astype(np.int64) - 1
        count = len(names)
        shapes = (data.shape, mask.shape, bbox.shape)
        if shapes != ((count, 38), (count, 19), (count, 4)) or sorted(order.tolist()) != list(range(count)):
            raise DataError(
                f"{self.path}: data, mask_new and bbox are {shapes} for {count} names, or 'ra' is no permutation; "
                "download it again"
            )
        chosen = order[:TRAINING] if self.subset == "train" else order[TRAINING:]
        if self.subset == "frontal":
            chosen = chosen[(mask[chosen] == 1).all(axis=1)]
        if not len(chosen):
            raise DataError(f"{self.path}: no faces in its subset '{self.subset}'; download it again")
        faces = Gathering(self.source)
        for row in chosen.tolist():
            where = f"{self.path}, row {row + 1}"
            with faces.entry(f"row {row + 1}"):
                image = below(_text(names[row]), self.root, where)
                annotation = annotation_from(data[row], mask[row], bbox[row], where)
                faces.add(
                    listed_file(
                        self.root / image,
                        where=where,
                        remedy="unpack AFLW's images into 'root'",
                        source=self.source,
                        name=f"{image}#{row + 1}",
                        annotation=annotation,
                    )
                )
        return faces.ordered(self.path, "faces")


def _text(cell: Any) -> str:
    """A cell of a cell array of strings, however often it is wrapped."""
    while isinstance(cell, np.ndarray) and cell.size == 1:
        cell = cell.reshape(-1)[0]
    return str(cell)


READER = AFLW
