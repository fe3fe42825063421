"""Overlays: the images with the landmarks drawn on them, to look at."""

from __future__ import annotations

import io
from typing import ClassVar

from PIL import Image

from pipeline.evaluation.plots.overlays import draw_landmarks
from pipeline.inference.result import ImageResult
from pipeline.inference.writers.base import Writer, file_stem
from pipeline.shards.manifest import join
from pipeline.storage import write_bytes

_CROP_WIDTH = 320  # px, of a stored face, which is too small to look at as it is


class Overlays(Writer):
    """A JPEG for each image that has a face, all its faces on it; of a stored face, its crop enlarged."""

    folder: ClassVar[bool] = True

    def write(self, result: ImageResult) -> None:
        """A file, if there is a face."""
        if not result.faces:
            return
        if result.image_HW3 is None:
            face = result.faces[0]
            points = face.crop.to_crop(face.points_K2)
            drawn = draw_landmarks(face.image_SS3, points, None, self.markup, width=_CROP_WIDTH)
        else:
            drawn = result.image_HW3
            for face in result.faces:
                drawn = draw_landmarks(drawn, face.points_K2, None, self.markup, width=drawn.shape[1])
        buffer = io.BytesIO()
        Image.fromarray(drawn).save(buffer, "JPEG", quality=92)
        write_bytes(join(self.out, f"{file_stem(result.name, 0)}.jpg"), buffer.getvalue())


WRITER = Overlays
