"""Objects annotated with imglab, dlib's tool, as its shape predictors are trained on: one XML of images, boxes and their parts.

``dataset/images/image`` (file), ``box`` (top, left, width, height), ``part`` (name, x, y). imglab names parts by numbers from 0
(``00``, ``01``, …), or as its user does. A box with ``ignore='1'`` is no object, one without parts is not annotated: both are
left out without a word, as dlib leaves them out. A part that is missing has no position. Coordinates are pixels', 0-based.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from pipeline.datasets._checks import Box, box, number
from pipeline.datasets._export import Export
from pipeline.datasets._gather import Gathering
from pipeline.datasets._named import NamedPoints, landmark_numbers
from pipeline.datasets._xml import parse_xml
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.errors import DataError

_TOLD = ("label", "pose", "detection_score", "gender", "age", "difficult", "occluded", "truncated")
"""What a box may say of its object besides where it is; kept as attributes."""


def part_label(name: Any) -> str:
    """A part's name, a number without the zeros that imglab writes in front."""
    label = str(name)
    return str(int(label)) if label.isdecimal() and len(label) < 9 else label


def annotated(image: ElementTree.Element) -> list[ElementTree.Element]:
    """The boxes of an image that are objects with parts."""
    return [b for b in image.iterfind("box") if b.get("ignore") != "1" and b.find("part") is not None]


class Imglab(Export):
    """Reader of dlib's imglab XML. An object's name is its image's and its number there: ``a.jpg#1``.

    Args:
        path: The XML.
        root: Folder that the images' names are relative to: the XML's own, unless it was moved.
        markup: Packaged name, or path of a YAML. If it has ``names``, parts are known by them, else by numbers.
        source: Name written beside every sample.
        upright: Turn images as their EXIF orientation says; imglab shows the pixels as they are stored.

    Raises:
        DataError: A file or folder does not exist.
        ConfigError: No such markup.
    """

    kind = "an XML of dlib's imglab"

    def __init__(
        self, path: str, root: str, markup: str, source: str = "imglab", upright: bool = False
    ) -> None:
        super().__init__(path, root, markup, source, upright)

    def records(self) -> list[FaceRecord]:
        """All objects, sorted by name; a malformed one is an ``Unusable``.

        Raises:
            DataError: Another XML, one without parts, or parts numbered from nobody knows where.
        """
        root = parse_xml(self.path)
        if root.tag != "dataset" or root.find("images") is None:
            raise DataError(f"{self.path}: no <dataset> with <images>: this is no XML of imglab's")
        images = root.findall("images/image")
        parts = [part for image in images for b in annotated(image) for part in b.iterfind("part")]
        labels = [part_label(part.get("name")) for part in parts]
        numbers = landmark_numbers(labels, self._markup, str(self.path)) if labels else {}
        faces = Gathering(self.source)
        for position, image in enumerate(images, start=1):
            with faces.entry(f"image {position}"):
                self._image(image, f"{self.path}: image {position}", numbers, faces)
        return faces.ordered(self.path, "boxes with parts")

    def _image(
        self, image: ElementTree.Element, where: str, numbers: dict[str, int], faces: Gathering
    ) -> None:
        boxes = annotated(image)
        if not boxes:
            return
        name = self.image(image.get("file"), where)
        for count, shape in enumerate(boxes, start=1):
            place = f"{self.path}: {name}, box {count}"
            with faces.entry(f"{name}#{count}"):
                faces.add(self.face(name, count, self._annotation(shape, numbers, place), place, None))

    def _annotation(self, shape: ElementTree.Element, numbers: dict[str, int], where: str) -> Annotation:
        face = NamedPoints(self._markup, numbers, where)
        for part in shape.iterfind("part"):
            label = part_label(part.get("name"))
            x, y = (number(part.get(axis), where, f"{axis} of part '{label}'") for axis in "xy")
            face.add(label, x, y, visible=True)
        told = {name: shape.get(name) for name in _TOLD if shape.get(name) is not None}
        if (name := shape.findtext("label")) is not None:
            told["label"] = name
        return Annotation(face.points_K2, face.visible_K, _box(shape, where), told)


def _box(shape: ElementTree.Element, where: str) -> Box:
    left, top, width, height = (
        number(shape.get(side), where, f"box's {side}") for side in ("left", "top", "width", "height")
    )
    # dlib's rectangles hold their last pixel: one of width 1 reaches from a pixel's left edge to its right one.
    return box((left - 0.5, top - 0.5, left + width - 0.5, top + height - 0.5), where)


READER = Imglab
