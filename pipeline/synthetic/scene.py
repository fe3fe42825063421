"""The background behind a face, and the camera's effects on the image."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pipeline.synthetic.parameters import Finish

_KINDS = ("gradient", "blobs", "room", "bokeh", "foliage", "stripes")


def _upsample(small_HW3: np.ndarray, size: int) -> Image.Image:
    pixels = np.clip(small_HW3 * 255, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)


def background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A (size, size, 3) uint8 image: backdrop, blurred room, bokeh, foliage, stripes."""
    kind = _KINDS[int(rng.choice(len(_KINDS), p=(0.26, 0.22, 0.2, 0.12, 0.12, 0.08)))]
    base = rng.uniform(0.08, 0.85) + rng.normal(0, 1, 3) * rng.uniform(0.01, 0.09)
    base = np.clip(base, 0.03, 0.95)
    other = np.clip(base + rng.normal(0, 0.17) + rng.normal(0, 0.06, 3), 0.02, 0.98)
    ramp = np.linspace(0, 1, 4)
    angle = rng.uniform(0, 2 * np.pi)
    plane = np.cos(angle) * ramp[None] + np.sin(angle) * ramp[:, None]
    plane = (plane - plane.min()) / max(float(np.ptp(plane)), 1e-6)
    gradient = base + (other - base) * plane[..., None]
    if kind == "gradient":
        image = _upsample(gradient, size)
    elif kind == "blobs":
        cells = int(rng.integers(4, 9))
        image = _upsample(
            np.clip(
                base + rng.normal(0, 0.12, (cells, cells, 1)) + rng.normal(0, 0.05, (cells, cells, 3)), 0, 1
            ),
            size,
        )
    elif kind == "foliage":
        cells = int(rng.integers(10, 22))
        green = np.array([0.30, 0.36, 0.20]) * rng.uniform(0.5, 1.5)
        image = _upsample(
            np.clip(
                green * (1 + rng.normal(0, 0.3, (cells, cells, 1))) + rng.normal(0, 0.03, (cells, cells, 3)),
                0,
                1,
            ),
            size,
        )
    else:
        side = 48
        image = _upsample(gradient, side)
        draw = ImageDraw.Draw(image)
        count = int(rng.integers(4, 11))
        places, colours = rng.uniform(-0.2, 1.1, (count, 4)) * side, rng.random((count, 3))
        greys = colours.mean(axis=1, keepdims=True)
        tints = ((0.22 * colours + 0.38 * greys + 0.4 * base) * 255).astype(int)
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
            image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.7, 2.4))))
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.array(image)


def _motion_kernel(length: float, angle: float) -> ImageFilter.Kernel:
    """A 5 × 5 line kernel, the largest Pillow convolves with."""
    t = np.linspace(-1, 1, 21) * min(length / 2, 2)
    x, y = 2 + t * np.cos(np.radians(angle)), 2 + t * np.sin(np.radians(angle))
    kernel = np.zeros((5, 5))
    np.add.at(kernel, (np.rint(y).astype(int), np.rint(x).astype(int)), 1)
    return ImageFilter.Kernel((5, 5), kernel.ravel().tolist(), scale=float(kernel.sum()))


def _saturation(amount: float) -> tuple[float, ...]:
    """Pillow's 3 × 4 colour matrix that scales the distance from grey (Rec. 601 luma)."""
    luma = (1 - amount) * np.array([0.299, 0.587, 0.114])
    matrix = np.concatenate([amount * np.eye(3) + luma, np.zeros((3, 1))], axis=1)
    return tuple(matrix.ravel().tolist())


def finish(image_HW3: np.ndarray, settings: Finish, size: int, rng: np.random.Generator) -> np.ndarray:
    """Turn a rendering into a photograph.

    Args:
        image_HW3: (S, S, 3) uint8, at any resolution.
        settings: The camera's faults.
        size: Side of the result, px.
        rng: For sensor noise.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    image = Image.fromarray(image_HW3)
    low = max(16, round(size * settings.resolution))
    if image.width > low:
        image = image.resize((low, low), Image.Resampling.BILINEAR)
    if settings.grey or settings.saturation != 1:
        image = image.convert("RGB", _saturation(0.0 if settings.grey else settings.saturation))
    if settings.gamma != 1:
        ramp = np.rint(255 * (np.arange(256) / 255) ** settings.gamma).astype(int).tolist()
        image = image.point(ramp * 3)
    if settings.motion:
        # Repeating a short kernel lengthens the streak: variances add.
        for _ in range(max(1, round((settings.motion * low / 4) ** 2))):
            image = image.filter(_motion_kernel(settings.motion * low, settings.motion_angle))
    if settings.blur * low > 0.3:
        image = image.filter(ImageFilter.GaussianBlur(settings.blur * low))
    if settings.noise > 0.003:
        grain = rng.standard_normal((low, low, 3), dtype=np.float32)
        grain *= np.float32(255 * settings.noise)
        if settings.grey:
            grain[..., 1:] = grain[..., :1]
        grain += np.asarray(image)
        image = Image.fromarray(np.minimum(np.maximum(grain, 0), 255).astype(np.uint8))
    if low != size:
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    if settings.jpeg:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=settings.jpeg)
        image = Image.open(buffer).convert("RGB")
    return np.asarray(image)
