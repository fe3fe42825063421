"""COCO keypoints: what annotation tools import, and the reader ``coco`` reads."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

from pipeline.inference.result import ImageResult
from pipeline.inference.writers.base import DECIMALS, FileWriter, rounded
from pipeline.markup import Markup


class Coco(FileWriter):
    """``images``, ``annotations`` (every landmark v = 2; ``score`` is the face's confidence), ``categories``.

    COCO is one JSON object: it is kept in memory, a few kB a face, and written at the end.
    """

    def __init__(self, out: str, markup: Markup) -> None:
        super().__init__(out, markup)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def write(self, result: ImageResult) -> None:
        """An image with its annotations."""
        identity = len(self._images) + 1
        self._images.append(
            {"id": identity, "file_name": result.name, "width": result.width, "height": result.height}
        )
        for face in result.faces:
            left, top, right, bottom = (round(value, DECIMALS) for value in face.box)
            told: dict[str, Any] = {
                "id": len(self._annotations) + 1,
                "image_id": identity,
                "category_id": 1,
                "keypoints": [value for x, y in rounded(face.points_K2) for value in (x, y, 2)],
                "num_keypoints": len(face.points_K2),
                "bbox": [left, top, round(right - left, DECIMALS), round(bottom - top, DECIMALS)],
                "area": round((right - left) * (bottom - top), DECIMALS),
                "iscrowd": 0,
            }
            if face.confidence is not None:
                told["score"] = round(face.confidence, DECIMALS)
            self._annotations.append(told)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            names = self.markup.names or [str(index) for index in range(self.markup.num_landmarks)]
            skeleton = [[a + 1, b + 1] for curve in self.markup.curves for a, b in curve.segments]
            category = {"id": 1, "name": "face", "keypoints": list(names), "skeleton": skeleton}
            content = {"images": self._images, "annotations": self._annotations, "categories": [category]}
            self.file.write(json.dumps(content, ensure_ascii=False) + "\n")
        super().__exit__(kind, error, trace)


WRITER = Coco
