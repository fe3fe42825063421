"""The export of an annotation tool: one file of annotations, a folder of images and a markup of the user's own.

What readers of COCO, CVAT and Label Studio share: what they are given, what a face is called, where its image is looked for.
"""

from __future__ import annotations

from typing import ClassVar

from pipeline.datasets._checks import below, file, folder
from pipeline.datasets._decode import DeclaredSize
from pipeline.datasets.face import Annotation
from pipeline.datasets.image import StoredImage, listed_file
from pipeline.markup import Markup, load_markup

CORNER = -0.5
"""px from a canvas, whose (0, 0) is the corner of the top-left pixel, to that pixel's centre as (0, 0)."""


class Export:
    """Base of the readers.

    Args:
        path: The file of annotations.
        root: Folder that the images' names are relative to.
        markup: Packaged name, or path of a YAML.
        source: Name written beside every sample.
        upright: Turn images as their EXIF orientation says.

    Raises:
        DataError: A file or folder does not exist.
        ConfigError: No such markup.
    """

    kind: ClassVar[str]
    """What ``path`` should be, for messages."""

    def __init__(self, path: str, root: str, markup: str, source: str, upright: bool) -> None:
        self.path = file(path, "path", self.kind)
        self.root = folder(root, "root", "the images")
        self.source, self.upright = source, upright
        self._markup = load_markup(markup)

    @property
    def markup(self) -> Markup:
        """As given."""
        return self._markup

    def image(self, name: object, where: str) -> str:
        """An image's path below the root, as the export names it.

        Raises:
            DataError: It is none, or leads out of the root.
        """
        return below(name, self.root, where)

    def face(
        self,
        image: str,
        number: object,
        annotation: Annotation,
        where: str,
        declared: DeclaredSize | None,
    ) -> StoredImage:
        """The record of one of an image's faces, called ``IMAGE#NUMBER``.

        Args:
            image: As ``image`` gives it.
            number: Tells the image's faces apart.
            annotation: The face.
            where: File and entry, for messages.
            declared: What the export says of the image's size; None where it says nothing.

        Raises:
            DataError: The image is missing or empty; the message starts with ``where``.
        """
        return listed_file(
            self.root / image,
            where=where,
            remedy="correct 'root'",
            source=self.source,
            name=f"{image}#{number}",
            annotation=annotation,
            upright=self.upright,
            declared=declared,
        )
