"""Faces annotated in CVAT, exported as "CVAT for images 1.1": one ``annotations.xml`` beside the images.

A face is either a ``points`` shape with all K landmarks in the markup's order, or a ``skeleton`` whose points are named
(``names`` of the markup, or numbers). A skeleton's point with ``outside`` has no position, one with ``occluded`` is invisible; a
``points`` shape is occluded as a whole. A ``box`` of the same group is the face's box. CVAT's (0, 0) is the top-left corner of
the image: half a pixel is subtracted. An image's ``width`` and ``height`` are compared with the file's.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np

from pipeline.datasets._checks import Box, box, number, size
from pipeline.datasets._export import CORNER, Export
from pipeline.datasets._gather import Gathering
from pipeline.datasets._named import NamedPoints, landmark_numbers
from pipeline.datasets._xml import parse_xml
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.errors import DataError


class Cvat(Export):
    """Reader of CVAT's image export. A face's name is its image's and its number there: ``a.jpg#1``.

    Args:
        path: ``annotations.xml``.
        root: Folder that the images' names are relative to (``images`` of the export).
        markup: Packaged name, or path of a YAML.
        label: Label of the faces' shapes; needed where shapes of several labels hold points.
        source: Name written beside every sample.
        upright: Turn images as their EXIF orientation says; CVAT shows them so.

    Raises:
        DataError: A file or folder does not exist.
        ConfigError: No such markup.
    """

    kind = "annotations.xml of an export 'CVAT for images 1.1'"

    def __init__(
        self,
        path: str,
        root: str,
        markup: str,
        label: str | None = None,
        source: str = "cvat",
        upright: bool = True,
    ) -> None:
        super().__init__(path, root, markup, source, upright)
        self.label = label

    def records(self) -> list[FaceRecord]:
        """All faces, sorted by name; a malformed shape is an ``Unusable``. An image without shapes has none.

        Raises:
            DataError: Another export, or one whose labels leave open which are the faces'.
        """
        root = parse_xml(self.path)
        if root.tag != "annotations" or root.find("track") is not None:
            raise DataError(
                f"{self.path}: not images but video or another format; export 'CVAT for images 1.1'"
            )
        shapes = [s for tag in ("points", "skeleton") for s in root.iterfind(f"image/{tag}")]
        labels = sorted({str(shape.get("label")) for shape in shapes})
        label = self.label or (labels[0] if len(labels) == 1 else None)
        if label not in labels:
            raise DataError(
                f"{self.path}: shapes with points have the labels {', '.join(labels) or '(none)'}; "
                "set 'label' to the faces' one"
            )
        inner = (
            p for s in root.iterfind("image/skeleton") if s.get("label") == label for p in s.iter("points")
        )
        names = [str(point.get("label")) for point in inner]
        numbers = landmark_numbers(names, self._markup, str(self.path)) if names else {}
        faces = Gathering(self.source)
        for image in root.iterfind("image"):
            with faces.entry(f"image {image.get('id')}"):
                self._image(image, label, numbers, faces)
        return faces.ordered(self.path, f"faces labelled '{label}'")

    def _image(
        self, image: ElementTree.Element, label: str, numbers: dict[str, int], faces: Gathering
    ) -> None:
        name = self.image(image.get("name"), f"{self.path}: image {image.get('id')}")
        boxes = {s.get("group_id"): s for s in image.iterfind("box") if s.get("group_id")}
        declared = size(image.get("width"), image.get("height"), f"{self.path}: {name}")
        shapes = (s for s in image if s.tag in {"points", "skeleton"} and s.get("label") == label)
        for count, shape in enumerate(shapes, start=1):
            where = f"{self.path}: {name}, face {count}"
            with faces.entry(f"{name}#{count}"):
                given = boxes.get(shape.get("group_id"))
                annotation = self._annotation(shape, given, numbers, where)
                faces.add(self.face(name, count, annotation, where, declared))

    def _annotation(
        self,
        shape: ElementTree.Element,
        given: ElementTree.Element | None,
        numbers: dict[str, int],
        where: str,
    ) -> Annotation:
        """A face from its shape, and the box that is grouped with it."""
        whole = shape.tag == "points"
        points_K2, visible_K = self._points(shape, where) if whole else self._skeleton(shape, numbers, where)
        attributes: dict[str, Any] = {
            str(a.get("name")): a.text for a in shape.iterfind("attribute") if a.get("name")
        }
        return Annotation(points_K2, visible_K, None if given is None else _box(given, where), attributes)

    def _points(self, shape: ElementTree.Element, where: str) -> tuple[np.ndarray, np.ndarray]:
        pairs = [_pair(text, where) for text in str(shape.get("points", "")).split(";") if text]
        count = self._markup.num_landmarks
        if len(pairs) != count:
            raise DataError(
                f"{where}: {len(pairs)} points, markup '{self._markup.name}' has {count}; correct it, or use a skeleton, "
                "which names its points"
            )
        return np.array(pairs), np.full(count, shape.get("occluded") != "1")

    def _skeleton(
        self, shape: ElementTree.Element, numbers: dict[str, int], where: str
    ) -> tuple[np.ndarray, np.ndarray]:
        face = NamedPoints(self._markup, numbers, where)
        for point in shape.iterfind("points"):
            label = str(point.get("label"))
            if point.get("outside") != "1":
                x, y = _pair(str(point.get("points", "")), f"{where}, point '{label}'")
                face.add(label, x, y, visible=point.get("occluded") != "1")
        if face.empty:
            raise DataError(f"{where}: every point is outside; remove the shape")
        return face.points_K2, face.visible_K


def _pair(text: str, where: str) -> tuple[float, float]:
    values = text.split(",")
    if len(values) != 2:
        raise DataError(f"{where}: {text!r} is no 'x,y'; export it again")
    return number(values[0], where, "x") + CORNER, number(values[1], where, "y") + CORNER


def _box(shape: ElementTree.Element, where: str) -> Box:
    sides = [
        number(shape.get(side), where, f"box's {side}") + CORNER for side in ("xtl", "ytl", "xbr", "ybr")
    ]
    return box(sides, where)


READER = Cvat
