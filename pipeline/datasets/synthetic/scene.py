"""What lies behind the face, and what a camera does to the picture."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pipeline.datasets.synthetic.parameters import Finish

_KINDS = ("gradient", "blobs", "room", "bokeh", "foliage", "stripes")


def _upsample(small_HW3: np.ndarray, size: int) -> Image.Image:
    pixels = np.clip(small_HW3 * 255, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)


def background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A (size, size, 3) float32 picture 0…1: backdrop, blurred room, bokeh, foliage, stripes."""
    kind = _KINDS[int(rng.choice(len(_KINDS), p=(0.26, 0.22, 0.2, 0.12, 0.12, 0.08)))]
    base = rng.random(3) * rng.uniform(0.1, 0.5) + rng.uniform(0.05, 0.6)
    other = np.clip(base + rng.normal(0, 0.2, 3), 0.02, 0.98)
    ramp = np.linspace(0, 1, 4)
    angle = rng.uniform(0, 2 * np.pi)
    plane = np.cos(angle) * ramp[None] + np.sin(angle) * ramp[:, None]
    plane = (plane - plane.min()) / max(float(np.ptp(plane)), 1e-6)
    gradient = base + (other - base) * plane[..., None]
    if kind == "gradient":
        picture = _upsample(gradient, size)
    elif kind == "blobs":
        cells = int(rng.integers(4, 9))
        picture = _upsample(
            np.clip(base + rng.normal(0, 0.16, (cells, cells, 3)) * [1, 0.8, 0.9], 0, 1), size
        )
    elif kind == "foliage":
        cells = int(rng.integers(18, 40))
        green = np.array([0.28, 0.36, 0.16]) * rng.uniform(0.5, 1.8)
        picture = _upsample(
            np.clip(
                green * (1 + rng.normal(0, 0.45, (cells, cells, 1))) + rng.normal(0, 0.03, (cells, cells, 3)),
                0,
                1,
            ),
            size,
        )
    else:
        side = 48
        picture = _upsample(gradient, side)
        draw = ImageDraw.Draw(picture)
        count = int(rng.integers(4, 11))
        places, colours = rng.uniform(-0.2, 1.1, (count, 4)) * side, rng.random((count, 3))
        tints = ((0.55 * colours + 0.45 * base) * 255).astype(int)
        for (x, y, w, h), tint in zip(places, tints, strict=True):
            fill = (int(tint[0]), int(tint[1]), int(tint[2]))
            if kind == "bokeh":
                radius = 1 + abs(w) * 0.1
                draw.ellipse(
                    (x - radius, y - radius, x + radius, y + radius),
                    fill=tuple(min(255, c + 70) for c in fill),
                )
            elif kind == "room":
                draw.rectangle((x, y, x + abs(w) * 0.6 + 2, y + abs(h) + 4), fill=fill)
            else:
                draw.line(
                    (x, -2, x + (w - side / 2) * 0.4, side + 2), fill=fill, width=int(2 + abs(h) * 0.12)
                )
        if rng.random() < 0.75:
            picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 2.2))))
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.float32) * np.float32(1 / 255)


def _motion_kernel(length: float, angle: float) -> ImageFilter.Kernel:
    """A 5 × 5 line kernel, the largest Pillow convolves with."""
    t = np.linspace(-1, 1, 21) * min(length / 2, 2)
    x, y = 2 + t * np.cos(np.radians(angle)), 2 + t * np.sin(np.radians(angle))
    kernel = np.zeros((5, 5))
    np.add.at(kernel, (np.rint(y).astype(int), np.rint(x).astype(int)), 1)
    return ImageFilter.Kernel((5, 5), kernel.ravel().tolist(), scale=float(kernel.sum()))


def finish(image_HW3: np.ndarray, settings: Finish, size: int, rng: np.random.Generator) -> np.ndarray:
    """Turn a rendering into a photograph.

    Args:
        image_HW3: (S, S, 3) float32 0…1, at any resolution.
        settings: The camera's faults.
        size: Side of the result, px.
        rng: For sensor noise.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    pixels = np.minimum(np.maximum(image_HW3, 0), 1)
    if settings.gamma != 1:
        np.power(pixels, np.float32(settings.gamma), out=pixels)
    if settings.grey or settings.saturation != 1:
        luma = (pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32))[..., None]
        pixels = luma + (pixels - luma) * np.float32(0 if settings.grey else settings.saturation)
        pixels = np.minimum(np.maximum(pixels, 0), 1)
    picture = Image.fromarray((pixels * 255 + 0.5).astype(np.uint8))
    low = max(16, round(size * settings.resolution))
    if picture.width > low:
        picture = picture.resize((low, low), Image.Resampling.BILINEAR)
    if settings.motion:
        # Repeating a short kernel lengthens the streak: variances add.
        for _ in range(max(1, round((settings.motion * low / 4) ** 2))):
            picture = picture.filter(_motion_kernel(settings.motion * low, settings.motion_angle))
    if settings.blur * low > 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(settings.blur * low))
    if settings.noise > 0.003:
        grain = rng.standard_normal((low, low, 3), dtype=np.float32)
        grain *= np.float32(255 * settings.noise)
        if settings.grey:
            grain[..., 1:] = grain[..., :1]
        grain += np.asarray(picture)
        picture = Image.fromarray(np.minimum(np.maximum(grain, 0), 255).astype(np.uint8))
    if low != size:
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    if settings.jpeg:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=settings.jpeg)
        picture = Image.open(buffer).convert("RGB")
    return np.asarray(picture)
