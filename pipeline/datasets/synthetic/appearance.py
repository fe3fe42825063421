"""Painting a face: colour and gloss of every visible point, from its surface coordinates.

Colours are sRGB 0…1. Each painter gets the surface coordinates of its pixels and returns ``(albedo_P3, gloss_P)``.
``pixel`` is the width of a pixel on the face, cm: edges are that soft, so that they are neither jagged nor blurred.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pipeline.datasets.synthetic import texture
from pipeline.datasets.synthetic.head import CHIN, MOUTH_BAND, bump, curve, mean_head
from pipeline.datasets.synthetic.landmarks import INNER_CORNER, OUTER_CORNER, Brow, Eye, outer_lips
from pipeline.datasets.synthetic.modes import EYE_CENTRE, MOUTH_HALF_WIDTH
from pipeline.datasets.synthetic.parameters import Colour, FaceParameters, Hair


def step(x: np.ndarray, width: float) -> np.ndarray:
    """0 below, 1 above zero, with a linear ramp ``width`` wide."""
    return np.minimum(np.maximum(x / width + 0.5, 0), 1)


def blend(
    albedo_P3: np.ndarray, where_N: np.ndarray, colour: Colour | np.ndarray, alpha_N: np.ndarray
) -> None:
    """Paint ``colour`` over the given pixels, in place."""
    under = albedo_P3[where_N]
    albedo_P3[where_N] = under + alpha_N[:, None] * (np.asarray(colour, dtype=np.float32) - under)


@lru_cache(maxsize=1)
def cavities() -> np.ndarray:
    """(V,) float32 ambient light that reaches each vertex of the mean head, 0…1: darker in folds and under overhangs."""
    head = mean_head()
    x, y, _ = head.vertices_V3.astype(np.float64).T
    down, side = head.down_V.astype(np.float64), np.abs(x)
    front = head.azimuth_V < 90
    dark = 0.42 * bump(side, y, (1.75, 0.75), (1.0, 0.8)) + 0.16 * bump(side, y, (3.4, 0.95), (1.6, 0.4))
    dark += 0.14 * bump(side, y, (2.5, -0.95), (1.2, 0.35))  # under the eyes
    dark += 0.40 * bump(x, y, (0, -5.1), (1.5, 0.5)) + 0.35 * bump(side, y, (1.85, -4.3), (0.32, 0.7))
    dark += 0.34 * bump(x, down, (0, -8.45), (1.9, 0.42)) + 0.25 * bump(side, down, (2.75, -7.0), (0.4, 0.4))
    dark += 0.17 * bump(side, y, (2.75, -5.4), (0.42, 1.1))
    dark += 0.5 * np.clip((CHIN - 0.3 - down) / 1.2, 0, 1)
    return np.clip(1 - np.where(front, dark, 0.25 * (down < -4)), 0.25, 1).astype(np.float32)


_AROUND_EAR = (
    (70, 0.6),
    (75, -1.8),
    (80, -2.4),
    (85, -2.0),
    (88, 0.5),
    (96, 1.6),
    (108, 1.0),
    (116, -4.0),
    (126, -9),
    (180, -10.8),
)
_FRINGES = {"fringe": 3.3, "long_fringe": 3.1}


def hair_edge(hair: Hair, across: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """``down`` of the hairline at each place, cm."""
    temple = hair.hairline + 0.1
    knots = (
        (0, hair.hairline - 0.2), (14, hair.hairline), (30, temple + 1.6 * hair.recession), (42, temple + 1.1 * hair.recession - 0.2),
        (54, 4.6), (62, 2.6), *_AROUND_EAR,
    )  # fmt: skip
    edge = curve(azimuth, knots)
    if hair.style in _FRINGES:
        swept = (
            _FRINGES[hair.style]
            + 0.12 * hair.parting * across * 0.4
            + 0.35 * np.cos(2.4 * across + hair.parting)
        )
        edge = np.where(azimuth < 62, np.minimum(edge, swept + np.clip(azimuth - 40, 0, None) * 0.02), edge)
    elif hair.style == "parted":
        # Falls from the parting to both sides of the forehead.
        edge = np.where(
            azimuth < 60, edge - 1.6 * np.clip(np.abs(across - hair.parting) / 5, 0, 1) ** 1.5, edge
        )
    return edge


@lru_cache(maxsize=1)
def _hair_volume() -> tuple[np.ndarray, np.ndarray]:
    head = mean_head()
    high = np.clip((head.vertices_V3[:, 1] - 2) / 8, 0, 1)
    return high.astype(np.float32), head.vertices_V3[:, 1]


def hair_lift(hair: Hair) -> np.ndarray:
    """(V,) float32 distance that hair lifts each vertex of the head off the scalp, cm."""
    head = mean_head()
    if hair.style == "bald" or hair.thickness == 0:
        return np.zeros(len(head.down_V), dtype=np.float32)
    edge = hair_edge(hair, head.across_V, head.azimuth_V)
    rise = np.clip((head.down_V - edge + 0.15) / (0.5 + 0.9 * hair.thickness), 0, 1)
    high, _ = _hair_volume()
    rise = rise * (2 - rise)
    lumps = 1.0
    if hair.style == "curly":
        lumps = 1 + 0.16 * np.sin(2.1 * head.across_V + 1.3 * head.down_V) * np.cos(
            1.7 * head.down_V + 0.11 * head.azimuth_V
        )
    elif hair.style in {"short", "parted"}:
        lumps = 1 + 0.25 * np.sin(0.8 * head.across_V + hair.parting) * high
    return (hair.thickness * rise * (0.55 + 0.65 * high) * lumps).astype(np.float32)


def beard_cover(
    parameters: FaceParameters, across: np.ndarray, down: np.ndarray, azimuth: np.ndarray
) -> np.ndarray:
    """0…1 share of the skin that the beard covers."""
    beard, side = parameters.beard, np.abs(across)
    top = np.interp(
        side, (0.0, 1.5, 2.6, 3.2, 4.4, 5.6, 6.8), (-8.5, -8.4, -7.6, -6.9, -6.4, -4.6, -1.5)
    ).astype(np.float32)
    low = step(top - down, 1.0) * step(83 - azimuth, 8)
    chin_share = step(3.4 - side, 0.9)
    cover = low * (beard.cheeks + (max(beard.chin, beard.cheeks) - beard.cheeks) * chin_share)
    upper, _ = outer_lips(across)
    lip = (
        step(down - upper.astype(np.float32), 0.25)
        * step(-5.15 - down - 0.11 * side, 0.35)
        * step(3.05 - side, 0.5)
    )
    sides = (
        step(-6.2 - down, 0.8)
        * step(down + 8.8, 0.8)
        * step(0.5 - np.abs(side - 3.0), 0.3)
        * min(beard.chin, beard.moustache)
    )
    return np.maximum(np.maximum(cover, beard.moustache * lip), sides)


def paint_hair(
    colour: Colour, along: np.ndarray, around: np.ndarray, seed: int, curly: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Hair whose strands run with ``along``."""
    u, v = around + (seed & 255), along + (seed >> 8 & 255)
    streak = texture.look_up(
        texture.clouds() if curly else texture.strands(), u * (2 if curly else 1), v * (2.0 if curly else 1)
    )
    tone = np.clip(1 + (0.34 if curly else 0.26) * streak, 0.35, 1.9)[:, None]
    albedo = np.asarray(colour, dtype=np.float32) * tone
    return np.minimum(albedo, 1), np.clip(0.35 + 0.2 * streak, 0.05, 0.8)


def _paint_eye(
    albedo: np.ndarray,
    gloss: np.ndarray,
    n: np.ndarray,
    s: np.ndarray,
    down: np.ndarray,
    eye: Eye,
    side: int,
    p: FaceParameters,
    pixel: float,
) -> None:
    """One eye: lashes, crease, eyeball. ``n`` indexes the pixels near it; ``s`` is their distance from the midline."""
    upper, low = eye.lids(s)
    fully_open, _ = Eye(eye.upper, eye.lower).lids(s)
    t = np.clip((s - INNER_CORNER[0]) / (OUTER_CORNER[0] - INNER_CORNER[0]), -0.2, 1.25)
    within = step(s - INNER_CORNER[0], 0.25) * step(OUTER_CORNER[0] - s, 0.25)
    if p.skin.eyeshadow:
        lid = step(fully_open + 0.85 - down, 0.7) * step(down - upper, 0.1) * within
        blend(albedo, n, (0.45 * p.skin.lip[0], 0.25, 0.32), 0.6 * p.skin.eyeshadow * lid)
    crease = (
        np.exp(-(((down - fully_open - 0.30 + 0.1 * t) / (0.10 + 0.4 * pixel)) ** 2))
        * step(s - 1.7, 0.5)
        * step(5.1 - s, 0.5)
    )
    blend(albedo, n, np.asarray(p.skin.tone) * 0.45, (0.48 - 0.25 * eye.closure) * crease)
    bag = np.exp(-(((down - low + 0.55) / 0.16) ** 2)) * within
    blend(albedo, n, np.asarray(p.skin.tone) * 0.6, (0.10 + 0.28 * p.skin.age) * bag)
    inside = (
        step(upper - down, pixel)
        * step(down - low, pixel)
        * step(s - INNER_CORNER[0] + 0.05, pixel)
        * step(OUTER_CORNER[0] - s, pixel)
    )
    inside = inside * step(upper - low - 0.04, 0.08)
    white = np.full((len(n), 3), (0.90, 0.87, 0.84), dtype=np.float32)
    shade = (
        1
        - 0.42 * np.exp(-np.clip(upper - down, 0, None) / 0.16)
        - 0.25 * np.clip(np.abs(2 * t - 1), 0, 1) ** 3
    )
    white *= shade[:, None]
    pink = np.exp(-(((s - INNER_CORNER[0] - 0.12) / 0.2) ** 2))
    white += pink[:, None] * (np.array([0.72, 0.42, 0.40], dtype=np.float32) - white) * 0.75
    dx, dy = s - EYE_CENTRE[0] - side * p.gaze[0], down - (EYE_CENTRE[1] + 0.05 + p.gaze[1])
    radius = np.sqrt(dx * dx + dy * dy)
    iris = (
        np.asarray(p.iris, dtype=np.float32)
        * (1.0 - 0.55 * np.clip((radius - 0.42) / 0.2, 0, 1) + 0.25 * (dy < 0))[:, None]
    )
    disc = step(0.60 - radius, pixel * 1.2)[:, None]
    white += disc * (iris - white)
    pupil = step(0.24 - radius, pixel)[:, None]
    white *= 1 - 0.92 * pupil
    light = p.light.direction
    glint = step(0.13 - np.hypot(dx - side * 0.24 * light[0], dy - 0.10 - 0.16 * light[1]), pixel * 1.2)[
        :, None
    ]
    white += glint * (0.97 - white)
    blend(albedo, n, white, inside)
    gloss[n] = gloss[n] * (1 - inside)
    lash = step(
        0.10 + 0.08 * p.skin.lashes + 0.4 * pixel - np.abs(down - upper - 0.03) - 0.06 * (t < 0.2),
        0.12 + pixel,
    )
    lash = (
        lash
        * step(s - INNER_CORNER[0] - 0.1, 0.3)
        * step(OUTER_CORNER[0] + 0.1 + 0.25 * p.skin.lashes - s, 0.15)
    )
    blend(albedo, n, (0.07, 0.05, 0.045), (0.55 + 0.4 * p.skin.lashes) * lash)
    under = np.exp(-(((down - low) / (0.05 + 0.4 * pixel)) ** 2)) * within
    blend(
        albedo,
        n,
        np.asarray(p.skin.tone) * 0.38,
        (0.32 + 0.25 * p.skin.lashes) * under * (1 - 0.6 * (inside > 0.9)),
    )


def _paint_brow(
    albedo: np.ndarray,
    n: np.ndarray,
    s: np.ndarray,
    down: np.ndarray,
    brow: Brow,
    p: FaceParameters,
    pixel: float,
) -> None:
    t = np.clip((s - brow.inner) / (5.35 - brow.inner), -0.2, 1.2)
    offset = down - brow.midline(s)
    thickness = brow.thickness * (1.05 - 0.7 * np.clip(t, 0, 1) ** 1.6)
    cover = (
        step(0.5 * thickness - np.abs(offset), 0.16 + pixel)
        * step(s - brow.inner, 0.35)
        * step(5.35 - s, 0.4)
    )
    hairs = texture.look_up(texture.grain(), s * 14 + down * 6, down * 9 - s * 4 + (p.texture_seed & 255))
    colour = np.asarray(p.hair.colour) * 0.62 * (0.8 if p.hair.style != "bald" else 0.9) + 0.02
    light_hair = float(np.mean(p.hair.colour)) > 0.5
    blend(albedo, n, colour, cover * np.clip((0.62 if light_hair else 0.82) + 0.16 * hairs, 0, 0.97))


def _paint_mouth(
    albedo: np.ndarray,
    gloss: np.ndarray,
    n: np.ndarray,
    x: np.ndarray,
    down: np.ndarray,
    p: FaceParameters,
    gap: float,
    pixel: float,
) -> None:
    """Lips and the inside of the mouth; ``gap`` is how far the inner lips are apart at the middle, cm."""
    band_top, band_low = MOUTH_BAND
    upper, lower = outer_lips(x)
    ends = step(MOUTH_HALF_WIDTH - np.abs(x), 0.15)
    lips = step(upper - down, 0.10 + pixel) * step(down - lower, 0.18 + pixel) * ends
    grooves = texture.look_up(texture.strands(), x * 18 + 40, down * 3 + (p.texture_seed & 127))
    upper_part = (down > band_top)[:, None]
    colour = (
        np.asarray(p.skin.lip, dtype=np.float32)
        * (1 + 0.05 * grooves)[:, None]
        * np.where(upper_part, 0.84, 1.0)
    )
    outline = 0.72 + 0.2 * p.skin.lipstick
    blend(albedo, n, colour, lips * outline)
    gloss[n] += lips * (0.35 + 0.5 * p.skin.lipstick)
    line = np.exp(
        -(((np.maximum(down - band_top, 0) + np.maximum(band_low - down, 0)) / (0.07 + 0.35 * pixel)) ** 2)
    )
    blend(
        albedo, n, np.asarray(p.skin.lip) * 0.28, 0.8 * line * step(MOUTH_HALF_WIDTH + 0.1 - np.abs(x), 0.3)
    )
    inner = np.flatnonzero((down < band_top) & (down > band_low))
    if gap < 0.12 or not len(inner):
        return
    m = (band_top - down[inner]) / (band_top - band_low)
    xi = x[inner]
    local = gap * np.sqrt(np.clip(1 - (xi / 2.45) ** 2, 0.02, None))
    depth = m * local
    inside = np.empty((len(inner), 3), dtype=np.float32)
    inside[:] = (0.16, 0.045, 0.045)
    tongue = step(depth - 0.55 * gap - 0.1, 0.5) * step(1.55 - np.abs(xi), 0.5) * float(gap > 1.2)
    inside += tongue[:, None] * (np.array([0.55, 0.24, 0.23], dtype=np.float32) - inside)
    ivory = np.array([0.90, 0.86, 0.78], dtype=np.float32) * (1 - 0.05 * p.skin.age)
    between = 1 - 0.22 * np.exp(-(((np.mod(xi + 0.36, 0.72) - 0.36) / 0.05) ** 2)) * (pixel < 0.3)
    shading = between * np.clip(1 - (xi / 2.9) ** 2, 0, 1) ** 0.7 * np.clip(0.62 + depth * 1.1, 0, 1)
    tall = min(0.95, 0.35 + 0.55 * gap)
    upper_teeth = step(tall * (1 - 0.06 * xi * xi) - depth, 0.08 + pixel)
    inside += upper_teeth[:, None] * (ivory * shading[:, None] - inside)
    if gap > 1.4:
        lower_teeth = step(depth - local + 0.38, 0.08 + pixel) * (np.abs(xi) < 1.9)
        inside += lower_teeth[:, None] * (ivory * 0.75 * between[:, None] - inside)
    blend(albedo, n[inner], inside, step(m - 0.03, 0.08) * step(0.98 - m, 0.05))
    gloss[n[inner]] = 0.15


def paint_skin(p: FaceParameters, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bare skin with blotches and pores at surface coordinates in cm."""
    shift = p.texture_seed & 255
    blotch = texture.look_up(texture.clouds(), x * 6 + shift, y * 6)
    pores = texture.look_up(texture.grain(), x * 11, y * 11 + shift)
    tone = np.asarray(p.skin.tone, dtype=np.float32)
    albedo = tone * (1 + 0.028 * blotch + (0.012 + 0.012 * p.skin.age) * pores)[:, None]
    albedo += (blotch * 0.014 * p.skin.redness)[:, None] * np.array([1, -0.4, -0.4], dtype=np.float32)
    return albedo, np.full(len(x), 0.18 + 0.35 * p.skin.oil, dtype=np.float32)


def _paint_complexion(
    albedo: np.ndarray, gloss: np.ndarray, p: FaceParameters, x: np.ndarray, down: np.ndarray
) -> None:
    side = np.abs(x)
    flush = 0.9 * bump(side, down, (4.0, -3.2), (1.9, 1.6)) + 0.8 * bump(x, down, (0, -3.8), (1.3, 1.1))
    flush += 0.3 * bump(x, down, (0, -10.4), (1.8, 1.1))
    flush *= p.skin.redness
    albedo *= 1 - flush[:, None] * np.array([0.02, 0.14, 0.13], dtype=np.float32)
    gloss += p.skin.oil * (
        0.3 * bump(x, down, (0, -3.0), (0.8, 2.2)) + 0.2 * bump(x, down, (0, 4.5), (3.5, 1.5))
    )
    nostril = step(
        1
        - ((side - 0.62 - 0.12 * (down + 4.8)) / 0.40) ** 2
        - ((down + 4.82 - 0.12 * (side - 0.6)) / 0.21) ** 2,
        1.1,
    )
    wing = (
        np.exp(-(((np.hypot(side - 1.15, (down + 4.05) * 0.95) - 0.74) / 0.12) ** 2))
        * step(side - 1.2, 0.3)
        * step(-3.5 - down, 0.4)
    )
    dark = 0.80 * nostril + 0.20 * wing
    if p.skin.age > 0.35:
        lines = (
            np.exp(-(((np.mod(down - 3.1 + 0.03 * x * x, 0.95) - 0.475) / 0.09) ** 2))
            * step(down - 3.1, 0.3)
            * step(6.1 - down, 0.3)
            * step(4.2 - side, 1.5)
        )
        fold = (
            np.exp(-(((side - 1.95 - 0.33 * (-4.3 - down)) / 0.14) ** 2))
            * step(-4.2 - down, 0.4)
            * step(down + 7.4, 0.8)
        )
        feet = np.exp(
            -(((np.mod(down * 1.0 + 0.25 * (side - 5.2) * np.sign(down), 0.42) - 0.21) / 0.06) ** 2)
        ) * bump(side, down, (5.4, 0), (0.5, 0.6))
        dark = dark + (p.skin.age - 0.35) * (0.28 * lines + 0.55 * fold + 0.4 * feet)
    albedo *= 1 - np.minimum(dark, 0.9)[:, None] * np.array([0.8, 1, 1], dtype=np.float32)
    if p.skin.freckles:
        spots = texture.look_up(texture.grain(), x * 8 + 31, down * 8)
        share = np.clip(spots - 1.2, 0, 0.8) * p.skin.freckles * bump(side, down, (2.5, -2.2), (3.5, 2.2))
        albedo *= 1 - share[:, None] * np.array([0.35, 0.55, 0.65], dtype=np.float32)


def paint_head(
    p: FaceParameters, surface_P3: np.ndarray, gap: float, pixel: float
) -> tuple[np.ndarray, np.ndarray]:
    """The head: skin, features, beard, scalp hair, mask, tight headwear.

    Args:
        p: The face.
        surface_P3: ``across``, ``down`` (cm) and ``azimuth`` (degrees).
        gap: Distance between the inner lips, cm.
        pixel: Width of a pixel on the face, cm.
    """
    x, down, azimuth = surface_P3.T
    albedo, gloss = paint_skin(p, x, down)
    face = np.flatnonzero((down < 6.5) & (down > -12) & (azimuth < 75))
    part, shine = albedo[face], gloss[face]
    _paint_complexion(part, shine, p, x[face], down[face])
    albedo[face], gloss[face] = part, shine
    side = np.abs(x)
    for sign, eye, brow in ((-1, p.left_eye, p.left_brow), (1, p.right_eye, p.right_brow)):
        near = face[(sign * x[face] > 0.3) & (side[face] < 6) & (np.abs(down[face]) < 1.9)]
        if len(near):
            _paint_eye(albedo, gloss, near, side[near], down[near], eye, sign, p, pixel)
    if any((p.beard.moustache, p.beard.chin, p.beard.cheeks)):
        low = np.flatnonzero((down < -0.5) & (azimuth < 92))
        cover = beard_cover(p, x[low], down[low], azimuth[low])
        hairs = texture.look_up(texture.grain(), x[low] * 9, down[low] * 7 + (p.texture_seed & 255))
        colour = np.asarray(p.hair.colour, dtype=np.float32) * np.clip(0.8 + 0.22 * hairs, 0.3, 1.4)[:, None]
        blend(albedo, low, colour, cover * np.clip(0.92 + 0.25 * hairs * (1.2 - cover), 0, 1))
        gloss[low] *= 1 - 0.7 * cover
    mouth = face[(side[face] < 3.0) & (down[face] < -5.6) & (down[face] > -8.4)]
    if len(mouth):
        _paint_mouth(albedo, gloss, mouth, x[mouth], down[mouth], p, gap, pixel)
    if p.hair.style != "bald":
        where = np.flatnonzero((down > 1.5) | (azimuth > 60))
        edge = hair_edge(p.hair, x[where], azimuth[where])
        jag = texture.look_up(
            texture.strands(), azimuth[where] * 1.5 + x[where] * 3 + (p.texture_seed & 255), down[where] * 2
        )
        soft = 0.9 if p.hair.style == "buzz" else 0.35
        cover = step(down[where] - edge + 0.28 * jag, soft + pixel) * (0.8 if p.hair.style == "buzz" else 1.0)
        curly = p.hair.style in {"curly", "buzz"}
        # Seen from above the parting, strands run down and away from it; azimuth carries the side.
        around = np.sign(x[where] - p.hair.parting) * azimuth[where] * 1.1 + 1.5 * x[where]
        colour_N3, shine_N = paint_hair(p.hair.colour, down[where] * 2.2, around, p.texture_seed, curly)
        roots = np.clip(1 - 0.45 * np.exp(-np.clip(down[where] - edge, 0, None) / 0.6), 0, 1)[:, None]
        blend(albedo, where, colour_N3 * roots if not curly else colour_N3, cover)
        gloss[where] += (shine_N - gloss[where]) * cover
    for sign, brow in ((-1, p.left_brow), (1, p.right_brow)):
        near = face[(sign * x[face] > 0.3) & (side[face] < 6) & (np.abs(down[face] - 2) < 2)]
        if len(near):
            _paint_brow(albedo, near, side[near], down[near], brow, p, pixel)
    return albedo, gloss
