"""COFW-68 (Ghiasi and Fowlkes, Occlusion Coherence, arXiv:1506.08347): COFW's 507 test faces with 300-W's 68 landmarks.

``N_points.mat`` (MATLAB 5) annotates the N-th image of ``COFW_test_color.mat``: ``Points`` 68 × 2 and ``Occ`` 1 × 68, 1 where
occluded. Coordinates are MATLAB's: the first pixel's centre is (1, 1), so 1 is subtracted. An occluded landmark has a position.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pipeline.datasets._checks import folder, on_disk
from pipeline.datasets._gather import Gathering
from pipeline.datasets._mat import MatImage, read_mat
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import stored_file
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup

_IMAGES = (".png", ".jpg", ".jpeg", ".bmp")


def read_points(path: Path) -> Annotation:
    """Read one ``N_points.mat``.

    Returns:
        (68, 2) points, 0-based px, all known; invisible where occluded.

    Raises:
        DataError: Another shape, a coordinate that is not finite, or an occlusion that is neither 0 nor 1.
    """
    content = read_mat(path, ("Points", "Occ"))
    points_K2, occluded = content["Points"], content["Occ"]
    if points_K2.shape != (68, 2) or occluded.shape != (1, 68):
        raise DataError(
            f"{path}: 'Points' {points_K2.shape} and 'Occ' {occluded.shape}, expected 68 × 2 and 1 × 68; "
            "download it again"
        )
    if not np.isfinite(points_K2).all() or not np.isin(occluded, (0, 1)).all():
        raise DataError(f"{path}: a point is not finite, or an occlusion neither 0 nor 1; download it again")
    return Annotation(points_K2.astype(np.float64) - 1.0, occluded[0] == 0)


class COFW68:
    """Reader of COFW-68. A face is called as ``cofw`` calls it (``test/0007``).

    Args:
        annotations: Folder of the ``N_points.mat`` files (``test_annotations``).
        images: ``COFW_test_color.mat``, read through h5py; or a folder of its images as ``N.png`` or ``N.jpg``.
        source: Name written beside every sample.

    Raises:
        DataError: Either does not exist.
    """

    def __init__(self, annotations: str, images: str, source: str = "cofw68") -> None:
        self.annotations = folder(annotations, "annotations", "the files N_points.mat")
        self.images = on_disk(images)
        self.source = source
        if not self.images.exists():
            raise DataError(
                f"{self.images}: no such file; set 'images' to COFW_test_color.mat, or to a folder of its images"
            )

    @property
    def markup(self) -> Markup:
        """The 68 landmarks of 300-W."""
        return load_markup("ibug68")

    def records(self) -> list[FaceRecord]:
        """All faces by number. A malformed annotation, or one without image, is an ``Unusable``.

        Raises:
            DataError: No annotations.
        """
        numbered = {
            int(match[1]): path
            for path in self.annotations.iterdir()
            if (match := re.fullmatch(r"(\d+)_points\.mat", path.name))
        }
        if not numbered:
            raise DataError(f"{self.annotations}: no files N_points.mat; unpack COFW68_Data into it")
        faces = Gathering(self.source)
        for number, path in sorted(numbered.items()):
            with faces.entry(f"test/{number:04d}"):
                faces.add(self._record(number, path))
        return faces.ordered(self.annotations, "faces")

    def _record(self, number: int, path: Path) -> FaceRecord:
        annotation, name = read_points(path), f"test/{number:04d}"
        if self.images.is_file():
            return MatImage(self.source, name, str(self.images), "IsT", number - 1, annotation)
        for suffix in _IMAGES:
            image = self.images / f"{number}{suffix}"
            if image.is_file():
                return stored_file(image, source=self.source, name=name, annotation=annotation)
        raise DataError(f"{path}: no image {number}.png or {number}.jpg in {self.images}; extract it there")


READER = COFW68
