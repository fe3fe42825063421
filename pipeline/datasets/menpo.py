"""The Menpo benchmark (Zafeiriou et al., CVPRW 2017; Deng et al., IJCV 127, 2019).

Semi-frontal faces have 300-W's 68 landmarks, profile faces 39 of their own. Each image lies beside its ``.pts``, 1-based as
300-W's. The 39 landmarks' layout is published as a figure only: the packaged markup ``menpo39`` says their number and nothing
else. Profile faces are prepared with ``crop.points: landmarks``, or with a YAML that names their ``five_points``, given as
``markup``.
"""

from __future__ import annotations

import numpy as np

from pipeline.datasets._checks import folder
from pipeline.datasets._gather import Gathering
from pipeline.datasets._pairs import pair, subfolders
from pipeline.datasets._pts import read_pts
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import stored_file
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

        A malformed annotation (a profile among semi-frontal faces has 39 points), an image without annotation and the reverse
        are each an ``Unusable``.

        Raises:
            DataError: A subset without annotations.
        """
        visible_K = np.ones(self._markup.num_landmarks, dtype=bool)
        faces = Gathering(self.source)
        for subset in self.subsets:
            for image, pts in pair(self.root / subset, self.root / subset, subset, faces):
                name = image.relative_to(self.root).as_posix()
                with faces.entry(name):
                    annotation = Annotation(read_pts(pts, len(visible_K)), visible_K)
                    faces.add(stored_file(image, source=self.source, name=name, annotation=annotation))
        return faces.ordered(self.root, "faces")


READER = Menpo
