"""MERL-RAV (Kumar et al., LUVLi Face Alignment, CVPR 2020): AFLW re-annotated with 300-W's 68 landmarks and their visibility.

Folders ``frontal``, ``left``, ``lefthalf``, ``right``, ``righthalf``, each with ``trainset`` and ``testset`` as the authors'
script arranges them; each image beside its ``.pts``, 1-based as 300-W's. Signs code visibility: (x, y) is visible, (−x, −y)
is occluded by something at (x, y), (−1, −1) is occluded by the face itself and has no position. A single negative coordinate
is a visible landmark beside the image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datasets._checks import folder
from pipeline.datasets._gather import Gathering
from pipeline.datasets._pairs import pair, subfolders
from pipeline.datasets._pts import read_pts
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import stored_file
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup

POSES = ("frontal", "left", "lefthalf", "right", "righthalf")


def read_signed_pts(path: Path, num_landmarks: int = 68) -> Annotation:
    """Read a ``.pts`` whose signs code visibility; see the module's docstring.

    Returns:
        Points (K, 2) px, 0-based, NaN where self-occluded; ``occlusion``: 0 visible, 1 occluded, 2 self-occluded, K times.

    Raises:
        DataError: Naming file and line; or no landmark has a position.
    """
    written_K2 = read_pts(path, num_landmarks) + 1.0
    self_occluded_K = (written_K2 == -1.0).all(axis=1)
    occluded_K = (written_K2 < 0).all(axis=1) & ~self_occluded_K
    if self_occluded_K.all():
        raise DataError(f"{path}: every landmark is self-occluded; remove it and its image")
    points_K2 = np.where(occluded_K[:, None], -written_K2, written_K2) - 1.0
    points_K2[self_occluded_K] = np.nan
    codes = np.where(self_occluded_K, 2, np.where(occluded_K, 1, 0))
    return Annotation(points_K2, codes == 0, attributes={"occlusion": codes.tolist()})


class MerlRav:
    """Reader of MERL-RAV.

    Args:
        root: The folder that holds the five pose folders.
        subsets: Folders under ``root``, e.g. ``["frontal/testset", "left/testset"]``.
        source: Name written beside every sample.

    Raises:
        DataError: The root or a subset does not exist, or a subset is named twice.
    """

    def __init__(self, root: str, subsets: list[str], source: str = "merl_rav") -> None:
        self.root = folder(root, "root", ", ".join(POSES))
        self.subsets = subfolders(
            self.root, subsets, f"POSE/trainset and POSE/testset, POSE one of {', '.join(POSES)}"
        )
        self.source = source

    @property
    def markup(self) -> Markup:
        """The 68 landmarks of 300-W."""
        return load_markup("ibug68")

    def records(self) -> list[FaceRecord]:
        """All faces of the subsets, sorted by name; the pose folder is the attribute ``pose``.

        A malformed annotation, an image without annotation and the reverse are each an ``Unusable``.

        Raises:
            DataError: A subset without annotations.
        """
        faces = Gathering(self.source)
        for subset in self.subsets:
            for image, pts in pair(self.root / subset, self.root / subset, subset, faces):
                name = f"{subset}/{image.name}"
                with faces.entry(name):
                    annotation = read_signed_pts(pts)
                    annotation.attributes["pose"] = subset.split("/")[0]
                    faces.add(stored_file(image, source=self.source, name=name, annotation=annotation))
        return faces.ordered(self.root, "faces")


READER = MerlRav
