"""Keypoints in COCO's JSON: what most annotation tools export, and many data sets are distributed in.

``images`` (id, file_name), ``categories`` (id, name, keypoints), ``annotations`` (image_id, category_id, keypoints: x, y, v per
landmark; bbox: left, top, width, height). v is 2 where visible, 1 where occluded at (x, y), 0 where not labelled. Not every
file keeps to that: in many published ones every labelled landmark has 1 (``one_means``). A face without any labelled landmark,
and a crowd, is left out: so COCO marks boxes that nobody annotated. ``width`` and ``height`` of an image are compared with the
file's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.datasets._checks import box, load_json, number, size
from pipeline.datasets._export import CORNER, Export
from pipeline.datasets._gather import Gathering
from pipeline.datasets._visibility import check_one_means
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import StoredImage
from pipeline.errors import DataError

_SHIFT = {"centre": 0.0, "corner": CORNER}


class CocoKeypoints(Export):
    """Reader of COCO keypoints. A face's name is its image's and its annotation's id: ``a.jpg#17``.

    Args:
        path: The JSON.
        root: Folder that ``file_name`` is relative to.
        markup: Packaged name, or path of a YAML. If it has ``names``, the category's keypoints are sorted by them.
        category: Name of the category that has the landmarks; needed where several have keypoints.
        origin: Where (0, 0) lies: at the ``centre`` of the top-left pixel, as in COCO itself, or at its ``corner``, as in
            the exports of tools that draw on a canvas (CVAT, Label Studio).
        one_means: What v = 1 means: ``occluded``, as COCO says, or ``visible``, as in files whose authors tell apart only what
            is labelled (mmpose's faces). None for the former.
        source: Name written beside every sample.
        upright: Turn images as their EXIF orientation says: only where the landmarks refer to that.

    Raises:
        DataError: A file or folder does not exist, or the origin or ``one_means`` is neither of its words.
        ConfigError: No such markup.
    """

    kind = "a JSON of COCO keypoints"

    def __init__(
        self,
        path: str,
        root: str,
        markup: str,
        category: str | None = None,
        origin: str = "centre",
        one_means: str | None = None,
        source: str = "coco",
        upright: bool = False,
    ) -> None:
        super().__init__(path, root, markup, source, upright)
        if origin not in _SHIFT:
            raise DataError(f"field 'origin' is {origin!r}: give 'centre' or 'corner'")
        self.category = category
        self._least_visible = 1 if check_one_means(one_means) == "visible" else 2
        self._shift = _SHIFT[origin]

    def records(self) -> list[FaceRecord]:
        """All annotated faces, sorted by name; a malformed annotation is an ``Unusable``.

        Raises:
            DataError: No COCO keypoints, no annotated face, or categories among which nothing says which.
        """
        content = load_json(self.path)
        if not isinstance(content, dict):
            raise DataError(
                f"{self.path}: a {type(content).__name__}, expected COCO's object; export it again"
            )
        # Ids are numbers, or text where tools write them so; nothing else can be looked up.
        images = {
            entry["id"]: entry
            for entry in self._list(content, "images")
            if isinstance(entry.get("id"), (int, str))
        }
        category, order_K = self._category(self._list(content, "categories"))
        faces = Gathering(self.source)
        for position, entry in enumerate(self._list(content, "annotations")):
            identity = entry.get("id", f"number {position + 1}")
            where = f"{self.path}: annotation {identity}"
            if entry.get("category_id") != category or entry.get("iscrowd"):
                continue
            with faces.entry(f"annotation {identity}"):
                annotation = self._annotation(entry, order_K, where)
                if annotation is not None:
                    faces.add(self._record(entry, images, position, annotation, where))
        return faces.ordered(self.path, "annotated faces")

    def _record(
        self,
        entry: dict[str, Any],
        images: dict[int | str, dict[str, Any]],
        position: int,
        annotation: Annotation,
        where: str,
    ) -> StoredImage:
        image_id = entry.get("image_id")
        image = images.get(image_id) if isinstance(image_id, (int, str)) else None
        if image is None:
            raise DataError(f"{where}: no image has the id {image_id!r}; export it again")
        declared = size(image.get("width"), image.get("height"), where)
        name = self.image(image.get("file_name"), where)
        return self.face(name, entry.get("id", position), annotation, where, declared)

    def _list(self, content: dict[str, Any], field: str) -> list[dict[str, Any]]:
        entries = content.get(field)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(
                f"{self.path}: field '{field}' is no list of objects; export it as COCO keypoints"
            )
        return entries

    def _category(self, categories: list[dict[str, Any]]) -> tuple[Any, np.ndarray]:
        """The faces' category, and where among its keypoints each landmark of the markup is."""
        # An empty list stands for landmarks without names, as in the published files of mmpose: the markup's, in its order.
        having = [entry for entry in categories if isinstance(entry.get("keypoints"), list)]
        if any(entry["keypoints"] for entry in having) and self.category is None:
            having = [entry for entry in having if entry["keypoints"]]
        if self.category is not None:
            having = [entry for entry in having if entry.get("name") == self.category]
        if len(having) != 1:
            known = ", ".join(str(entry.get("name")) for entry in categories) or "none"
            raise DataError(
                f"{self.path}: {len(having)} categories with keypoints fit; set 'category' to one of: {known}"
            )
        names = [str(name) for name in having[0]["keypoints"]]
        count = self._markup.num_landmarks
        if not names:
            return having[0].get("id"), np.arange(count)
        if len(names) != count:
            raise DataError(
                f"{self.path}: category '{having[0].get('name')}' has {len(names)} keypoints, markup "
                f"'{self._markup.name}' {count}; correct 'markup'"
            )
        if self._markup.names is None:
            return having[0].get("id"), np.arange(count)
        if sorted(names) != sorted(self._markup.names):
            odd = next((name for name in names if name not in self._markup.names), names[0])
            raise DataError(
                f"{self.path}: keypoint '{odd}' is not among the names of markup '{self._markup.name}'; "
                "rename it there or here"
            )
        return having[0].get("id"), np.array([names.index(name) for name in self._markup.names])

    def _annotation(self, entry: dict[str, Any], order_K: np.ndarray, where: str) -> Annotation | None:
        raw = entry.get("keypoints")
        if not isinstance(raw, list) or len(raw) != 3 * len(order_K):
            given = len(raw) if isinstance(raw, list) else "no list of"
            raise DataError(f"{where}: {given} values in 'keypoints', expected {3 * len(order_K)}")
        triples = [raw[3 * k : 3 * k + 3] for k in order_K]
        points_K2 = np.full((len(order_K), 2), np.nan)
        visible_K = np.zeros(len(order_K), dtype=bool)
        for k, (x, y, v) in enumerate(triples):
            if isinstance(v, bool) or v not in (0, 1, 2):
                raise DataError(f"{where}: visibility of landmark {k} is {v!r}, expected 0, 1 or 2")
            visible_K[k] = v >= self._least_visible
            if v:
                points_K2[k] = number(x, where, f"x of landmark {k}"), number(y, where, f"y of landmark {k}")
        if np.isnan(points_K2).all():
            return None
        given_box = None
        bbox = entry.get("bbox")
        # Tools without boxes write an empty list, or one of zeros.
        if bbox is not None and bbox not in ([], [0, 0, 0, 0]):
            if not isinstance(bbox, list) or len(bbox) != 4:
                raise DataError(f"{where}: 'bbox' is {bbox!r}, expected [left, top, width, height]")
            left, top, width, height = (number(value, where, "'bbox'") for value in bbox)
            left, top = left + self._shift, top + self._shift
            given_box = box((left, top, left + width, top + height), where)
        attributes = entry.get("attributes")
        return Annotation(
            points_K2 + self._shift, visible_K, given_box, attributes if isinstance(attributes, dict) else {}
        )


READER = CocoKeypoints
