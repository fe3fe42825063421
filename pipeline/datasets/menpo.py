"""The Menpo benchmark (Zafeiriou et al., CVPRW 2017; Deng et al., IJCV 127, 2019).

Semi-frontal faces have 300-W's 68 landmarks, profile faces 39 of their own. Each image lies beside its ``.pts``, 1-based as
300-W's. The 39 landmarks' layout is published as a figure only: the packaged markup ``menpo39`` says their number and nothing
else. To prepare profile faces, write a YAML that names their ``five_points`` and curves, and give its path as ``markup``.
"""

from __future__ import annotations

import numpy as np

from pipeline.datasets._checks import folder
from pipeline.datasets._pairs import pair, subfolders
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import require_unique_names, stored_file
from pipeline.datasets.w300 import read_pts
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup

_VIEWS = {"semifrontal": "ibug68", "profile": "menpo39"}


class Menpo:
    """Reader of Menpo. Semi-frontal and profile faces are two sets: they share no markup.

    Args:
        root: The unpacked folder.
        subsets: Folders under ``root`` that hold images and .pts files; ``["."]`` for the root itself.
        view: ``semifrontal`` (68 landmarks) or ``profile`` (39).
        markup: Packaged name or path of a YAML that replaces the view's.
        source: Name written beside every sample.

    Raises:
        DataError: A folder does not exist, or there is no such view.
        ConfigError: No such markup.
    """

    def __init__(
        self, root: str, subsets: list[str], view: str, markup: str | None = None, source: str = "menpo"
    ) -> None:
        if view not in _VIEWS:
            raise DataError(f"field 'view' is {view!r}: give one of {', '.join(_VIEWS)}")
        self.root = folder(root, "root", "the images and their .pts files")
        self.subsets = subfolders(
            self.root, subsets, "folders of images and .pts files, ['.'] for 'root' itself"
        )
        self.source = source
        self._markup = load_markup(markup or _VIEWS[view])

    @property
    def markup(self) -> Markup:
        """The view's, or as given."""
        return self._markup

    def records(self) -> list[FaceRecord]:
        """All faces of the subsets, sorted by name.

        Raises:
            DataError: Malformed annotation (a profile among semi-frontal faces has 39 points), an image without
                annotation or the reverse.
        """
        count = self._markup.num_landmarks
        records = []
        for subset in self.subsets:
            for image, pts in pair(self.root / subset, self.root / subset):
                annotation = Annotation(read_pts(pts, count), np.ones(count, dtype=bool))
                name = image.relative_to(self.root).as_posix()
                records.append(stored_file(image, source=self.source, name=name, annotation=annotation))
        return list(require_unique_names(records))


READER = Menpo
