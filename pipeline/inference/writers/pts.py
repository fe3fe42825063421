"""``.pts`` files, a face each, as 300-W is annotated: 1-based, as its readers expect."""

from __future__ import annotations

from typing import ClassVar

from pipeline.inference.result import ImageResult
from pipeline.inference.writers.base import DECIMALS, Writer, file_stem
from pipeline.shards.manifest import join
from pipeline.storage import write_text


class Pts(Writer):
    """``a.pts`` for the largest face of ``a.jpg``, ``a_1.pts`` for the next."""

    folder: ClassVar[bool] = True

    def write(self, result: ImageResult) -> None:
        """A file for each face."""
        for place, face in enumerate(result.faces):
            lines = [f"{x:.{DECIMALS}f} {y:.{DECIMALS}f}" for x, y in face.points_K2 + 1.0]
            text = "\n".join(["version: 1", f"n_points: {len(lines)}", "{", *lines, "}", ""])
            write_text(join(self.out, f"{file_stem(result.name, place)}.pts"), text)


WRITER = Pts
