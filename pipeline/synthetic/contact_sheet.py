"""A sheet of small images, to look at a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from pipeline.datasets.face import FaceReader

_SHOWN, _HIDDEN = (60, 255, 90), (255, 70, 60)


def contact_sheet(
    reader: FaceReader, rows: int, columns: int, draw_points: bool = False, cell: int = 160
) -> Image.Image:
    """The first rows × columns images of a reader, as a grid.

    Args:
        reader: Any data set.
        rows: Rows of the sheet.
        columns: Columns of the sheet.
        draw_points: Mark landmarks: green visible, red hidden.
        cell: Side of a cell, px; images are scaled to fit.
    """
    sheet = Image.new("RGB", (columns * cell, rows * cell), (24, 24, 24))
    for position, record in enumerate(reader.records()[: rows * columns]):
        face = record.load()
        image = Image.fromarray(face.image_HW3)
        scale = cell / max(image.size)
        image = image.resize(
            (max(1, round(image.width * scale)), max(1, round(image.height * scale))),
            Image.Resampling.BICUBIC,
        )
        if draw_points and face.annotation is not None:
            draw = ImageDraw.Draw(image)
            radius = max(1.0, cell / 160)
            for (x, y), visible in zip(
                (face.annotation.points_K2 + 0.5) * scale - 0.5, face.annotation.visible_K, strict=True
            ):
                draw.ellipse(
                    (x - radius, y - radius, x + radius, y + radius), fill=_SHOWN if visible else _HIDDEN
                )
        sheet.paste(image, (position % columns * cell, position // columns * cell))
    return sheet
