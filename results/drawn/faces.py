"""README's picture: faces that the project draws, and under them the landmarks it knows of them, those that can be seen.

    python results/drawn/faces.py

Writes ``faces.jpg`` beside this file, the same every time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.evaluation.plots.overlays import draw_landmarks
from pipeline.markup import load_markup
from pipeline.synthetic.render import render_face

SEED, FACES, SIDE, GAP = 20, (0, 1, 2, 3, 4, 5), 200, 4


def main() -> None:
    markup, step = load_markup("ibug68"), SIDE + GAP
    sheet = Image.new("RGB", (len(FACES) * step - GAP, 2 * step - GAP), (255, 255, 255))
    for column, index in enumerate(FACES):
        face = render_face(SEED, index, SIDE)
        seen_K2 = np.where(face.visible_K[:, None], face.points_K2, np.nan)
        for row, image in enumerate(
            (face.image_HW3, draw_landmarks(face.image_HW3, seen_K2, None, markup, width=SIDE))
        ):
            sheet.paste(Image.fromarray(image), (column * step, row * step))
    sheet.save(Path(__file__).with_name("faces.jpg"), quality=88)


if __name__ == "__main__":
    main()
