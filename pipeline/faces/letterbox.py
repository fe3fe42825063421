"""Putting images of any size onto a few canvas sizes, so that they can be batched, and mapping points back.

Edges and centres: resampling maps the image's outer *edges* onto the edges of its place on the canvas. With
e an edge coordinate (the left edge of the first pixel is 0), the landmark coordinate is e − 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Letterbox:
    """Where an image lies on its canvas.

    Attributes:
        canvas: (width, height) of the canvas, px.
        left: Canvas column of the image's left edge, px.
        top: Canvas row of the image's top edge, px.
        width: Width of the image on the canvas, px.
        height: Height of the image on the canvas, px.
        scale: Canvas px per original px, (x, y). They differ by the rounding of width and height.
    """

    canvas: tuple[int, int]
    left: int
    top: int
    width: int
    height: int
    scale: tuple[float, float]

    def edges_to_original(self, points_N2: np.ndarray) -> np.ndarray:
        """Map (…, 2) canvas edge coordinates (x, y) to edge coordinates of the original image."""
        return (np.asarray(points_N2, dtype=np.float64) - (self.left, self.top)) / self.scale

    def to_original(self, points_N2: np.ndarray) -> np.ndarray:
        """Map (…, 2) canvas landmarks (x, y; pixel centres) to landmarks of the original image."""
        return self.edges_to_original(np.asarray(points_N2, dtype=np.float64) + 0.5) - 0.5


def choose_letterbox(
    width: int, height: int, canvases: Sequence[tuple[int, int]], margin: float
) -> Letterbox:
    """Place an image centrally on the canvas where it is largest; among equals, on the smallest.

    Args:
        width: Of the image, px.
        height: Of the image, px.
        canvases: (width, height) of each canvas, px.
        margin: Border left free on every side, as a share of the canvas's side. A face that fills its image
            then still lies well inside the canvas.

    Returns:
        The place. It depends on the image's size alone, never on other images.
    """

    def fit(canvas: tuple[int, int]) -> float:
        return min(canvas[0] / width, canvas[1] / height) * (1 - 2 * margin)

    canvas = max(canvases, key=lambda c: (fit(c), -c[0] * c[1]))
    scale = fit(canvas)
    # An extreme strip (1 × 4000 px) keeps at least one pixel.
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Letterbox(
        canvas=canvas,
        left=(canvas[0] - inner[0]) // 2,
        top=(canvas[1] - inner[1]) // 2,
        width=inner[0],
        height=inner[1],
        scale=(inner[0] / width, inner[1] / height),
    )


def render(image_HW3: np.ndarray, place: Letterbox) -> np.ndarray:
    """Resample an image onto its canvas; the border replicates the image's edge.

    Args:
        image_HW3: (H, W, 3) uint8.
        place: From ``choose_letterbox``.

    Returns:
        (canvas height, canvas width, 3) uint8. Replicating, rather than a black frame, adds no contrast edge
        that the first network of a cascade would take for a face's outline.
    """
    image = Image.fromarray(np.ascontiguousarray(image_HW3))
    # reducing_gap first halves a much larger image by a cheap box filter; the result stays anti-aliased.
    inner = image.resize((place.width, place.height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    canvas_w, canvas_h = place.canvas
    right, bottom = canvas_w - place.left - place.width, canvas_h - place.top - place.height
    return np.pad(np.asarray(inner), ((place.top, bottom), (place.left, right), (0, 0)), mode="edge")
