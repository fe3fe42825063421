"""COFW (Burgos-Artizzu et al., Robust Face Landmark Estimation under Occlusion, ICCV 2013): 29 landmarks and their occlusion.

``COFW_train_color.mat`` (1,345 faces: 845 of LFPW, 500 new ones) and ``COFW_test_color.mat`` (507) are MATLAB 7.3, read
through h5py: images ``IsTr`` / ``IsT``, ``phisTr`` / ``phisT`` (29 x, 29 y, 29 occluded), boxes ``bboxesTr`` / ``bboxesT``
(x, y, width, height). Coordinates are MATLAB's: the first pixel's centre is (1, 1), so 1 is subtracted. An occluded landmark
has a position.
"""

from __future__ import annotations

import numpy as np

from pipeline.datasets._checks import box, file
from pipeline.datasets._gather import Gathering
from pipeline.datasets._mat import MatImage, first_variable, read_mat73
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup

_POINTS = 29


def annotation_from(phi: np.ndarray, box_xywh: np.ndarray, where: str) -> Annotation:
    """One face.

    Args:
        phi: (87,) 29 x, 29 y, 29 occlusions; 1-based px.
        box_xywh: (4,) left, top (1-based), width, height, px.
        where: For messages.

    Raises:
        DataError: A value that is not finite, or an occlusion that is neither 0 nor 1; an empty box.
    """
    points_2K, occluded_K = phi[: 2 * _POINTS].reshape(2, _POINTS), phi[2 * _POINTS :]
    if not np.isfinite(points_2K).all():
        raise DataError(f"{where}: a coordinate is not finite; download the file again")
    if not np.isin(occluded_K, (0, 1)).all():
        raise DataError(f"{where}: an occlusion is neither 0 nor 1; download the file again")
    left, top, width, height = (float(value) for value in box_xywh)
    given = box((left - 1, top - 1, left - 1 + width, top - 1 + height), where)
    return Annotation(points_2K.T - 1.0, occluded_K == 0, given)


class COFW:
    """Reader of COFW.

    Args:
        path: ``COFW_train_color.mat`` or ``COFW_test_color.mat``; which of them it is, is read from it.
        subset: Of the training file: ``all``, or ``cofw`` for the 500 faces that are not LFPW's.
        source: Name written beside every sample.

    Raises:
        DataError: No such file, h5py is not installed, or there is no such subset.
    """

    def __init__(self, path: str, subset: str = "all", source: str = "cofw") -> None:
        self.path = file(path, "path", "COFW_train_color.mat or COFW_test_color.mat")
        if subset not in {"all", "cofw"}:
            raise DataError(f"field 'subset' is {subset!r}: give 'all' or 'cofw'")
        self.source, self.subset = source, subset
        self._part = first_variable(self.path, ("phisTr", "phisT")).removeprefix("phis")

    @property
    def markup(self) -> Markup:
        """The 29 landmarks of COFW."""
        return load_markup("cofw29")

    def records(self) -> list[FaceRecord]:
        """All faces in the file's order: ``train/0001`` …, ``test/0001`` …, MATLAB's numbers; a malformed one is an ``Unusable``.

        Raises:
            DataError: Arrays of unexpected shape.
        """
        names = (f"phis{self._part}", f"bboxes{self._part}")
        arrays = read_mat73(self.path, names)
        phis, boxes = arrays[names[0]], arrays[names[1]]
        if phis.ndim != 2 or len(phis) != 3 * _POINTS or boxes.shape != (4, phis.shape[1]):
            raise DataError(
                f"{self.path}: '{names[0]}' {phis.shape[::-1]} and '{names[1]}' {boxes.shape[::-1]}, expected N × 87 "
                "and N × 4; download the file again"
            )
        split = "train" if self._part == "Tr" else "test"
        # LFPW's 845 come first.
        start = 845 if self.subset == "cofw" and split == "train" else 0
        faces = Gathering(self.source)
        for index in range(start, phis.shape[1]):
            where = f"{self.path}: face {index + 1}"
            name = f"{split}/{index + 1:04d}"
            with faces.entry(name):
                annotation = annotation_from(phis[:, index], boxes[:, index], where)
                faces.add(MatImage(self.source, name, str(self.path), f"Is{self._part}", index, annotation))
        return faces.ordered(self.path, "faces")


READER = COFW
