"""Images beside their ``.pts`` files (see ``pipeline.datasets._pts``), in a folder and those below it, of any markup."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datasets._checks import folder
from pipeline.datasets._gather import Gathering
from pipeline.datasets._pairs import pair
from pipeline.datasets._pts import read_pts
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import stored_file
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup


def folders_of(root: Path, suffix: str) -> list[Path]:
    """The folders, this one and those below, that hold files of this extension; hidden ones are passed over."""
    found = {p.parent for p in root.rglob("*") if p.suffix.lower() == suffix and not p.name.startswith(".")}
    return sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(root).parts))


class PtsFolder:
    """Reader of images beside their ``.pts``. A face's name is its image's path below the root.

    Args:
        root: The folder; those below it are searched, too.
        markup: Packaged name, or path of a YAML.
        first: Coordinate of the centre of the top-left pixel: 1, as in 300-W and in MATLAB, or 0, or 0.5 where the corner is 0.
        source: Name written beside every sample.

    Raises:
        DataError: No such folder.
        ConfigError: No such markup.
    """

    def __init__(self, root: str, markup: str, first: float = 1.0, source: str = "pts") -> None:
        self.root = folder(root, "root", "the images and their .pts files")
        self.first, self.source = first, source
        self._markup = load_markup(markup)

    @property
    def markup(self) -> Markup:
        """As given."""
        return self._markup

    def records(self) -> list[FaceRecord]:
        """All faces, sorted by name. An annotation that is malformed or has no image is an ``Unusable``.

        Images without annotation are nothing to be told of: in a folder that is being annotated most are.

        Raises:
            DataError: No ``.pts`` at all.
        """
        visible_K = np.ones(self._markup.num_landmarks, dtype=bool)
        faces = Gathering(self.source)
        for place in folders_of(self.root, ".pts"):
            prefix = place.relative_to(self.root).as_posix()
            for image, pts in pair(place, place, prefix, faces, spare_images=True):
                name = image.relative_to(self.root).as_posix()
                with faces.entry(name):
                    # read_pts has taken 1 off.
                    points_K2 = read_pts(pts, len(visible_K)) + (1.0 - self.first)
                    annotation = Annotation(points_K2, visible_K)
                    faces.add(stored_file(image, source=self.source, name=name, annotation=annotation))
        if not faces.listed():
            raise DataError(f"{self.root}: no .pts files, neither here nor below; correct 'root'")
        return faces.ordered(self.root, "faces")


READER = PtsFolder
