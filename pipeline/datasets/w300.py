"""300-W in its official layout (Sagonas et al., 300 Faces in-the-Wild, ICCVW 2013).

Folders ``afw``, ``helen/trainset``, ``helen/testset``, ``lfpw/trainset``, ``lfpw/testset``, ``ibug``; each
image beside its ``.pts`` (see ``pipeline.datasets._pts``).
"""

from __future__ import annotations

import numpy as np

from pipeline.datasets._checks import on_disk
from pipeline.datasets._gather import Gathering
from pipeline.datasets._pairs import pair
from pipeline.datasets._pts import read_pts
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import stored_file
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup

OFFICIAL_SUBSETS = ("afw", "helen/trainset", "helen/testset", "lfpw/trainset", "lfpw/testset", "ibug")


class W300:
    """Reader of 300-W.

    Args:
        root: The folder that holds ``afw``, ``helen`` and so on.
        subsets: Folders under ``root``, e.g. ``["helen/testset", "lfpw/testset"]`` for the common test set.
        source: Name written beside every sample.

    Raises:
        DataError: The root or a subset does not exist, or a subset is named twice.
    """

    def __init__(self, root: str, subsets: list[str], source: str = "300w") -> None:
        self.root = on_disk(root)
        self.source = source
        self.subsets = list(subsets)
        if not self.root.is_dir():
            raise DataError(
                f"{self.root}: no such folder; set 'root' to the folder that holds afw, helen, lfpw and ibug"
            )
        if not subsets or isinstance(subsets, str):
            raise DataError(
                f"field 'subsets' is {subsets!r}: give a list of some of {', '.join(OFFICIAL_SUBSETS)}"
            )
        for subset in subsets:
            if not (self.root / subset).is_dir():
                raise DataError(
                    f"{self.root / subset}: no such folder; 300-W has {', '.join(OFFICIAL_SUBSETS)}"
                )
            if subsets.count(subset) > 1:
                raise DataError(f"field 'subsets': '{subset}' is given twice; remove one")

    @property
    def markup(self) -> Markup:
        """The 68 landmarks of 300-W."""
        return load_markup("ibug68")

    def records(self) -> list[FaceRecord]:
        """All faces of the subsets, sorted by name (``helen/trainset/1_1.jpg``).

        A malformed annotation, an image without annotation and the reverse are each an ``Unusable``.

        Raises:
            DataError: Empty subset.
        """
        faces = Gathering(self.source)
        visible_K = np.ones(self.markup.num_landmarks, dtype=bool)
        for subset in self.subsets:
            for image, pts in pair(self.root / subset, self.root / subset, subset, faces):
                name = f"{subset}/{image.name}"
                with faces.entry(name):
                    annotation = Annotation(read_pts(pts, len(visible_K)), visible_K)
                    faces.add(stored_file(image, source=self.source, name=name, annotation=annotation))
        return faces.ordered(self.root, "faces")


READER = W300
