"""Keypoints in COCO's JSON: what most annotation tools export, and many data sets are distributed in.

``images`` (id, file_name), ``categories`` (id, name, keypoints), ``annotations`` (image_id, category_id, keypoints: x, y, v per
landmark; bbox: left, top, width, height). v is 2 where visible, 1 where occluded at (x, y), 0 where not labelled. A face
without any labelled landmark, and a crowd, is left out: so COCO marks boxes that nobody annotated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.datasets._checks import box, load_json, number
from pipeline.datasets._export import CORNER, Export
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
        source: Name written beside every sample.
        upright: Turn images as their EXIF orientation says: only where the landmarks refer to that.

    Raises:
        DataError: A file or folder does not exist, or the origin is neither.
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
        source: str = "coco",
        upright: bool = False,
    ) -> None:
        super().__init__(path, root, markup, source, upright)
        if origin not in _SHIFT:
            raise DataError(f"field 'origin' is {origin!r}: give 'centre' or 'corner'")
        self.category = category
        self._shift = _SHIFT[origin]

    def records(self) -> list[FaceRecord]:
        """All annotated faces, sorted by name.

        Raises:
            DataError: Naming the annotation's id and the field.
        """
        content = load_json(self.path)
        if not isinstance(content, dict):
            raise DataError(
                f"{self.path}: a {type(content).__name__}, expected COCO's object; export it again"
            )
        images = {entry.get("id"): entry for entry in self._list(content, "images")}
        category, order_K = self._category(self._list(content, "categories"))
        records: list[StoredImage] = []
        for position, entry in enumerate(self._list(content, "annotations")):
            where = f"{self.path}: annotation {entry.get('id', f'number {position + 1}')}"
            if entry.get("category_id") != category or entry.get("iscrowd"):
                continue
            annotation = self._annotation(entry, order_K, where)
            if annotation is None:
                continue
            if entry.get("image_id") not in images:
                raise DataError(f"{where}: no image has the id {entry.get('image_id')!r}; export it again")
            image = self.image(images[entry["image_id"]].get("file_name"), where)
            records.append(self.face(image, entry.get("id", position), annotation, where))
        return self.ordered(records, "annotated faces")

    def _list(self, content: dict[str, Any], field: str) -> list[dict[str, Any]]:
        entries = content.get(field)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(
                f"{self.path}: field '{field}' is no list of objects; export it as COCO keypoints"
            )
        return entries

    def _category(self, categories: list[dict[str, Any]]) -> tuple[Any, np.ndarray]:
        having = [entry for entry in categories if entry.get("keypoints")]
        if self.category is not None:
            having = [entry for entry in having if entry.get("name") == self.category]
        if len(having) != 1:
            known = ", ".join(str(entry.get("name")) for entry in categories) or "none"
            raise DataError(
                f"{self.path}: {len(having)} categories with keypoints fit; set 'category' to one of: {known}"
            )
        names = [str(name) for name in having[0]["keypoints"]]
        count = self._markup.num_landmarks
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
            if v not in (0, 1, 2):
                raise DataError(f"{where}: visibility of landmark {k} is {v!r}, expected 0, 1 or 2")
            visible_K[k] = v == 2
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
