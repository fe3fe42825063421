"""CSV: a face a line, in the columns that the reader ``table`` reads."""

from __future__ import annotations

import csv
from typing import Self

import numpy as np

from pipeline.inference.result import ImageResult
from pipeline.inference.writers.base import DECIMALS, FileWriter


class Table(FileWriter):
    """``path``, the landmarks, the box, the image's size, and as attributes the detector's score and the face's confidence."""

    def __enter__(self) -> Self:
        super().__enter__()
        pairs = [f"{axis}{index}" for index in range(self.markup.num_landmarks) for axis in "xy"]
        sizes = ["left", "top", "right", "bottom", "width", "height"]
        self._rows = csv.writer(self.file, lineterminator="\n")
        self._rows.writerow(["path", *pairs, *sizes, "attribute.score", "attribute.confidence"])
        return self

    def write(self, result: ImageResult) -> None:
        """A line for each face."""
        for face in result.faces:
            numbers = np.round([*face.points_K2.ravel(), *face.box], DECIMALS).tolist()
            known = [
                "" if value is None else round(value, DECIMALS) for value in (face.score, face.confidence)
            ]
            self._rows.writerow([result.name, *numbers, result.width, result.height, *known])


WRITER = Table
