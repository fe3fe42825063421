"""Skin: tone, blotches, flush, folds, freckles, nostrils; and how much ambient light reaches each place."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pipeline.synthetic import texture
from pipeline.synthetic.brush import clamp, darken, dim, line, step, tinted
from pipeline.synthetic.head import CHIN, bump, mean_head
from pipeline.synthetic.parameters import FaceParameters


@lru_cache(maxsize=1)
def cavities() -> np.ndarray:
    """(V,) float32 ambient light that reaches each vertex of the mean head, 0…1: darker in folds and under overhangs."""
    head = mean_head()
    x, y, _ = head.vertices_V3.astype(np.float64).T
    down, side = head.down_V.astype(np.float64), np.abs(x)
    dark = 0.42 * bump(side, y, (1.75, 0.75), (1.0, 0.8)) + 0.16 * bump(side, y, (3.4, 0.95), (1.6, 0.4))
    dark += 0.14 * bump(side, y, (2.5, -0.95), (1.2, 0.35))  # under the eyes
    dark += 0.40 * bump(x, y, (0, -5.1), (1.5, 0.5)) + 0.35 * bump(side, y, (1.85, -4.3), (0.32, 0.7))
    dark += 0.34 * bump(x, down, (0, -8.45), (1.9, 0.42)) + 0.25 * bump(side, down, (2.75, -7.0), (0.4, 0.4))
    dark += 0.17 * bump(side, y, (2.75, -5.4), (0.42, 1.1))
    dark += 0.5 * np.clip((CHIN - 0.3 - down) / 1.2, 0, 1)
    return np.clip(1 - np.where(head.azimuth_V < 90, dark, 0.25 * (down < -4)), 0.25, 1).astype(np.float32)


@lru_cache(maxsize=1)
def complexion_maps() -> tuple[np.ndarray, np.ndarray]:
    """(V,) float32 where blood shows (cheeks, nose) and where skin shines (nose, forehead), 0…1, at each vertex."""
    head = mean_head()
    x, down = head.across_V.astype(np.float64), head.down_V.astype(np.float64)
    flush = 0.9 * bump(np.abs(x), down, (4.0, -3.2), (1.9, 1.6)) + 0.8 * bump(x, down, (0, -3.8), (1.3, 1.1))
    shine = 0.3 * bump(x, down, (0, -3.0), (0.8, 2.2)) + 0.2 * bump(x, down, (0, 4.5), (3.5, 1.5))
    front = head.azimuth_V < 90
    return (flush * front).astype(np.float32), (shine * front).astype(np.float32)


def paint_skin(p: FaceParameters, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bare skin with blotches and pores at surface coordinates in cm: (3, P) colour and (P,) gloss."""
    shift = p.texture_seed & 255
    blotch = texture.look_up(texture.clouds(), x * 6 + shift, y * 6)
    pores = texture.look_up(texture.grain(), x * 11, y * 11 + shift)
    albedo = tinted(p.skin.tone, 1 + 0.028 * blotch + (0.010 + 0.012 * p.skin.age) * pores)
    albedo[0] += blotch * (0.012 * p.skin.redness)
    albedo[1:] -= blotch * (0.005 * p.skin.redness)
    return albedo, np.full(len(x), 0.18 + 0.35 * p.skin.oil, dtype=np.float32)


def paint_complexion(
    albedo: np.ndarray, gloss: np.ndarray, p: FaceParameters, flush: np.ndarray, shine: np.ndarray
) -> None:
    """Blood and grease, from ``complexion_maps`` at the pixels; in place."""
    dim(albedo, (0.02, 0.14, 0.13), flush * p.skin.redness)
    gloss += p.skin.oil * shine


def paint_nostrils(albedo: np.ndarray, n: np.ndarray, x: np.ndarray, down: np.ndarray) -> None:
    """The nostrils and the folds around the wings of the nose, at pixels ``n``."""
    s = np.abs(x)
    across, up = (s - 0.62 - 0.12 * (down + 4.8)) / 0.40, (down + 4.82 - 0.12 * (s - 0.6)) / 0.21
    nostril = step(1 - across * across - up * up, 1.1)
    wing = (
        line(np.hypot(s - 1.15, (down + 4.05) * 0.95) - 0.74, 0.12)
        * step(s - 1.2, 0.3)
        * step(-3.5 - down, 0.4)
    )
    darken(albedo, n, (0.8, 1, 1), 0.80 * nostril + 0.20 * wing)


def paint_wrinkles(albedo: np.ndarray, n: np.ndarray, x: np.ndarray, down: np.ndarray, age: float) -> None:
    """Lines on the forehead, from nose to mouth and beside the eyes, at pixels ``n``; ``age`` 0…0.5."""
    side = np.abs(x)
    ripple = line(np.mod(down - 3.1 + 0.03 * x * x, 1.05) - 0.525, 0.08)
    forehead = ripple * step(down - 3.1, 0.3) * step(6.1 - down, 0.3) * step(3.9 - side, 2.0)
    fold = line(side - 1.95 - 0.33 * (-4.3 - down), 0.14) * step(-4.2 - down, 0.4) * step(down + 7.4, 0.8)
    feet = line(np.mod(down + 0.25 * (side - 5.2) * np.sign(down), 0.42) - 0.21, 0.06) * bump(
        side, down, (5.4, 0), (0.5, 0.6)
    )
    darken(albedo, n, (0.8, 1, 1), clamp(age * (0.22 * forehead + 0.6 * fold + 0.4 * feet), 0, 0.9))


def paint_freckles(
    albedo: np.ndarray, n: np.ndarray, x: np.ndarray, down: np.ndarray, strength: float
) -> None:
    """Freckles on nose and cheeks, at pixels ``n``."""
    spots = texture.look_up(texture.grain(), x * 8 + 31, down * 8)
    share = clamp(spots - 1.2, 0, 0.8) * strength * bump(np.abs(x), down, (2.5, -2.2), (3.5, 2.2))
    darken(albedo, n, (0.35, 0.55, 0.65), share)
