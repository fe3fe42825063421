"""Images of faces with landmarks or heatmaps on them, large enough to judge an 80 px crop by eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.evaluation.plots.palette import PREDICTION, TRUTH
from pipeline.markup import Markup

_SUPERSAMPLE = 2  # Pillow draws without anti-aliasing: draw twice as large and average down
OUTLINE = (0, 0, 0)
_INK = (28, 36, 48)


def enlarge(image_HW3: np.ndarray, width: int) -> tuple[Image.Image, float]:
    """An image (H, W, 3) at ``width`` px, and by how much it grew."""
    height, original = image_HW3.shape[:2]
    factor = width / original
    size = (width, max(1, round(height * factor)))
    return Image.fromarray(np.ascontiguousarray(image_HW3)).resize(size, Image.Resampling.BICUBIC), factor


def reduced(canvas: Image.Image, image_HW3: np.ndarray, width: int) -> np.ndarray:
    """A canvas that was drawn larger, averaged down to ``width`` px and the image's proportions."""
    size = (width, max(1, round(image_HW3.shape[0] * width / image_HW3.shape[1])))
    return np.asarray(canvas.resize(size, Image.Resampling.BOX))


def on_canvas(points_K2: np.ndarray, factor: float, width: int) -> np.ndarray:
    """Points (K, 2) of an image on one enlarged by ``factor`` to ``width`` px."""
    # Pillow's coordinates overflow far outside, and would paint a diverged model's lines over the whole face.
    return np.clip((np.asarray(points_K2, dtype=np.float64) + 0.5) * factor - 0.5, -9 * width, 10 * width)


def _draw_shape(
    draw: ImageDraw.ImageDraw,
    points_K2: np.ndarray,
    shown_K: np.ndarray,
    markup: Markup,
    colour: tuple[int, int, int],
    unit: float,
) -> None:
    def spot(index: int, radius: float, fill: tuple[int, int, int]) -> None:
        x, y = points_K2[index]
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)

    segments = [(a, b) for c in markup.curves for a, b in c.segments if shown_K[a] and shown_K[b]]
    # All outlines first, so that none of them cuts through a neighbouring line.
    for width, fill in ((2.3 * unit, OUTLINE), (1.3 * unit, colour)):
        for a, b in segments:
            draw.line((*points_K2[a], *points_K2[b]), fill=fill, width=max(1, round(width)))
    for radius, fill in ((2.2 * unit, OUTLINE), (1.6 * unit, colour)):
        for index in np.flatnonzero(shown_K):
            spot(int(index), radius, fill)


def draw_landmarks(
    image_HW3: np.ndarray,
    predicted_K2: np.ndarray,
    target_K2: np.ndarray | None,
    markup: Markup,
    *,
    mask_K: np.ndarray | None = None,
    width: int = 320,
) -> np.ndarray:
    """Draw predicted and true landmarks on a face, contours as polylines.

    Args:
        image_HW3: (H, W, 3) uint8.
        predicted_K2: (K, 2) predicted landmarks, (x, y) px of ``image_HW3``; drawn amber.
        target_K2: (K, 2) true landmarks, drawn sky blue beneath; None to leave them out.
        markup: Says which landmarks a contour joins.
        mask_K: (K,) bool, True where the true landmark is known; the others are not drawn as truth.
        width: Width of the result, px.

    Returns:
        (round(H · width / W), width, 3) uint8.
    """
    canvas, factor = enlarge(image_HW3, width * _SUPERSAMPLE)
    draw = ImageDraw.Draw(canvas)
    unit = width * _SUPERSAMPLE / 320
    if target_K2 is not None:
        known = np.isfinite(target_K2).all(axis=-1) & (True if mask_K is None else mask_K)
        _draw_shape(draw, on_canvas(target_K2, factor, canvas.width), known, markup, TRUTH, unit)
    known = np.isfinite(predicted_K2).all(axis=-1)
    _draw_shape(draw, on_canvas(predicted_K2, factor, canvas.width), known, markup, PREDICTION, unit)
    return reduced(canvas, image_HW3, width)


def _heat(heatmaps_KHW: np.ndarray) -> np.ndarray:
    # Each landmark relative to its own peak: the eye compares how wide the answers are (Robinson et al.,
    # figure 1), which a shared scale would hide, a sharp heatmap's peak being orders above a scattered one's.
    peaks_K = heatmaps_KHW.reshape(len(heatmaps_KHW), -1).max(axis=1)
    safe_K = np.where(peaks_K > 0, peaks_K, 1.0)
    return np.asarray((np.clip(heatmaps_KHW, 0, None) / safe_K[:, None, None]).max(axis=0))


def _tint(image: Image.Image, heat_HW: np.ndarray) -> Image.Image:
    from matplotlib import colormaps

    enlarged = Image.fromarray(heat_HW.astype(np.float32)).resize(image.size, Image.Resampling.BILINEAR)
    heat = np.clip(np.asarray(enlarged), 0, 1)
    colours = np.asarray(colormaps["inferno"](heat))[..., :3] * 255
    opacity = np.clip(1.6 * heat, 0, 0.92)[..., None]
    base = np.asarray(image, dtype=np.float64) * 0.75
    return Image.fromarray((base * (1 - opacity) + colours * opacity).astype(np.uint8))


def _eye_box(heatmaps_KHW: np.ndarray, markup: Markup | None) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of a square about the viewer's left eye, as fractions of the image."""
    _, height, width = heatmaps_KHW.shape
    if markup is None or markup.pupils is None:
        return 0.2, 0.2, 0.5, 0.5
    eye = _heat(heatmaps_KHW[list(markup.pupils[0])][:, None].max(axis=1))
    weights = np.clip(eye - 0.5, 0, None)  # the peaks, not the tails, say where the eye is
    total = weights.sum()
    if total <= 0:
        return 0.2, 0.2, 0.5, 0.5
    rows, columns = np.mgrid[:height, :width]
    x = float((weights * columns).sum() / total + 0.5) / width
    y = float((weights * rows).sum() / total + 0.5) / height
    half = 0.14
    x, y = min(max(x, half), 1 - half), min(max(y, half), 1 - half)
    return x - half, y - half, x + half, y + half


def heatmap_panel(
    image_HW3: np.ndarray, heatmaps_KHW: np.ndarray, *, markup: Markup | None = None, width: int = 240
) -> np.ndarray:
    """Face, all heatmaps over the face, and an eye enlarged (Robinson et al., figures 1 and 3).

    Args:
        image_HW3: (H, W, 3) uint8, square.
        heatmaps_KHW: (K, h, w) non-negative heatmaps over the same square, any resolution; each is drawn
            relative to its peak.
        markup: Finds the eye; without it the zoom shows where the left eye of an upright crop lies.
        width: Side of each of the three tiles, px.

    Returns:
        (width, 3 · width + 2 · gap, 3) uint8, gap = width // 40.
    """
    heat = _heat(np.asarray(heatmaps_KHW, dtype=np.float64))
    face = Image.fromarray(np.ascontiguousarray(image_HW3))
    tile = face.resize((width, width), Image.Resampling.BICUBIC)
    box = _eye_box(np.asarray(heatmaps_KHW, dtype=np.float64), markup)
    zoom_face = face.resize((width, width), Image.Resampling.BICUBIC, box=_scaled(box, face.size))
    heat_image = Image.fromarray(heat.astype(np.float32))
    crop = _scaled(box, heat_image.size)
    zoom_heat = heat_image.resize((width, width), Image.Resampling.BILINEAR, box=crop)
    overlay = _tint(tile, heat)
    frame = _scaled(box, (width, width))
    ImageDraw.Draw(overlay).rectangle(frame, outline=(255, 255, 255), width=max(1, width // 160))
    gap = width // 40
    panel = Image.new("RGB", (3 * width + 2 * gap, width), (255, 255, 255))
    for column, part in enumerate((tile, overlay, _tint(zoom_face, np.asarray(zoom_heat)))):
        panel.paste(part, (column * (width + gap), 0))
    return np.asarray(panel)


def _scaled(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    return box[0] * size[0], box[1] * size[1], box[2] * size[0], box[3] * size[1]


def face_grid(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    *,
    columns: int = 4,
    width: int = 240,
    legend: Sequence[tuple[tuple[int, int, int] | None, str]] = (),
) -> np.ndarray:
    """Images in rows, a caption under each, and above them what is drawn in which colour.

    Args:
        images: (H, W, 3) uint8 each; scaled to one width.
        captions: One line each; cut with an ellipsis where too long.
        columns: Images per row.
        width: Width of each image, px.
        legend: Colour, RGB, and what is drawn in it; words alone without a colour. On one line, cut where too long.

    Returns:
        (rows, columns · width, 3) uint8 on white.

    Raises:
        ValueError: No image, or another number of captions.
    """
    if not images or len(images) != len(captions):
        raise ValueError(f"{len(images)} images, {len(captions)} captions: give one for each, at least one")
    font = ImageFont.load_default(size=max(10, min(width, 240) // 18))  # a wide image is no louder
    line = round(font.size * 1.7) if isinstance(font, ImageFont.FreeTypeFont) else 18
    tiles = [enlarge(image, width)[0] for image in images]
    columns = min(columns, len(tiles))
    height = max(tile.height for tile in tiles) + line
    top = line if legend else 0
    grid = Image.new("RGB", (columns * width, top + -(-len(tiles) // columns) * height), (255, 255, 255))
    draw = ImageDraw.Draw(grid)
    left = 4.0
    for colour, text in legend:
        if colour is not None:
            draw.rectangle((left, line * 0.3, left + line, line * 0.7), fill=colour, outline=OUTLINE)
            left += 1.3 * line
        draw.text((left, line // 6), text, fill=_INK, font=font)
        left += draw.textlength(text, font=font) + line
    for index, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        x, y = index % columns * width, top + index // columns * height
        grid.paste(tile, (x, y))
        text = caption
        while text and draw.textlength(text, font=font) > width - 8:
            text = text.removesuffix("…")[:-1] + "…" if len(text) > 1 else ""
        draw.text((x + 4, y + tile.height + line // 6), text, fill=_INK, font=font)
    return np.asarray(grid)
