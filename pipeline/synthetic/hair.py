"""Hair and beards: where they grow, how far they stand out, how they are painted."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pipeline.synthetic import texture
from pipeline.synthetic.brush import Colour, blend, clamp, step, tinted
from pipeline.synthetic.grid import grid_normals
from pipeline.synthetic.head import curve, mean_head
from pipeline.synthetic.landmarks import outer_lips
from pipeline.synthetic.parameters import FaceParameters, Hair

_AROUND_EAR = (
    (70.0, 0.6), (75.0, -1.8), (80.0, -2.4), (85.0, -2.0), (88.0, 0.5), (96.0, 1.6), (108.0, 1.0),
    (116.0, -1.5), (128.0, -4.5), (180.0, -6.5),
)  # fmt: skip
_FRINGE = 3.2
_DEGREES = np.arange(0, 181, 2, dtype=np.float32)
HAT_LIFT = {"beanie": 0.75, "cap": 0.55, "scarf": 0.5}
_HAT_LINE = {"beanie": 4.6, "cap": 4.7, "scarf": 6.4}


def hair_edge(hair: Hair, across: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """``down`` of the hairline at each place, cm."""
    front = (
        (0.0, hair.hairline - 0.2), (14.0, hair.hairline), (30.0, hair.hairline + 0.1 + 1.6 * hair.recession),
        (42.0, hair.hairline - 0.1 + 1.1 * hair.recession), (54.0, 4.6), (62.0, 2.6),
    )  # fmt: skip
    # The knots differ from face to face: a table per face costs less than a spline per pixel.
    edge = np.interp(azimuth, _DEGREES, curve(_DEGREES, front + _AROUND_EAR)).astype(np.float32)
    if hair.style == "fringe":
        swept = _FRINGE + 0.05 * hair.parting * across + 0.22 * np.cos(2.4 * across + hair.parting)
        return np.where(azimuth < 62, np.minimum(edge, swept + np.maximum(azimuth - 40, 0) * 0.02), edge)
    if hair.style == "parted":
        # Falls from the parting to both sides of the forehead.
        swept = 1.8 * clamp(np.abs(across - hair.parting) * 0.2, 0, 1) ** 1.5
        return np.where(azimuth < 60, edge - swept, edge)
    return edge


def hat_edge(headwear: str, azimuth: np.ndarray) -> np.ndarray:
    """``down`` of the edge of a hat, cm: level, lower at the back."""
    edge = _HAT_LINE[headwear] - 0.012 * np.maximum(azimuth - 30, 0)
    if headwear == "scarf":
        edge = edge - 0.10 * np.maximum(azimuth - 40, 0)
    return np.asarray(edge)


@lru_cache(maxsize=1)
def _mean_normals() -> np.ndarray:
    head = mean_head()
    return grid_normals(head.vertices_V3, len(head.rows_R), len(head.columns_C), closed=True)


def lifted(p: FaceParameters, skin_V3: np.ndarray) -> np.ndarray:
    """The head's outer surface: its skin, raised by hair, hat, beard and mask.

    Args:
        p: The face.
        skin_V3: (V, 3) bare head, cm.
    """
    head, hair = mean_head(), p.hair
    across, down, azimuth = head.across_V, head.down_V, head.azimuth_V
    lift: np.ndarray = np.zeros(len(down), dtype=np.float32)
    high = clamp((head.vertices_V3[:, 1] - 2) * 0.125, 0, 1)
    if hair.style != "bald":
        thickness = min(hair.thickness, 0.5) if p.wear.headwear else hair.thickness
        rise = clamp((down - hair_edge(hair, across, azimuth) + 0.15) / (0.5 + 0.9 * thickness), 0, 1)
        lumps = np.ones_like(lift)
        if hair.style == "curly":
            lumps += 0.16 * np.sin(2.1 * across + 1.3 * down) * np.cos(1.7 * down + 0.11 * azimuth)
        elif hair.style in {"short", "parted"}:
            lumps += 0.25 * np.sin(0.8 * across + hair.parting) * high
        lift = thickness * rise * (2 - rise) * (0.55 + 0.65 * high) * lumps
    if p.wear.headwear:
        rise = clamp((down - hat_edge(p.wear.headwear, azimuth)) * 2.5, 0, 1)
        shape = 1 + (0.8 * high * high if p.wear.headwear == "beanie" else 0.3 * high)
        lift = np.maximum(lift, 0.2) * (1 - rise) * (lift > 0) + rise * HAT_LIFT[p.wear.headwear] * shape
    if p.beard.thickness:
        lift = lift + p.beard.thickness * beard_cover(p, across, down, azimuth) ** 2
    outer = skin_V3 + lift[:, None] * _mean_normals()
    if p.wear.mask:
        cover = mask_cover(across, down, azimuth)
        # Cloth bridges what lies under it: the nose keeps it off the cheeks and lips.
        bridge = 1.35 - 0.055 * np.abs(across) ** 1.9 - 0.035 * (down + 5.5) ** 2
        outer[:, 2] += cover * np.maximum(bridge - skin_V3[:, 2], 0.25)
    return outer.astype(np.float32)


def mask_cover(across: np.ndarray, down: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """0…1 share of the skin under a surgical mask."""
    side = np.abs(across)
    return step(-1.9 - 0.16 * side - down, 0.4) * step(down + 12.2, 0.6) * step(62 - azimuth, 6)


def beard_cover(p: FaceParameters, across: np.ndarray, down: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """0…1 share of the skin that the beard covers."""
    beard, side = p.beard, np.abs(across)
    top = np.interp(
        side, (0.0, 1.5, 2.6, 3.2, 4.4, 5.6, 6.8), (-8.5, -8.4, -7.6, -6.9, -6.4, -4.6, -1.5)
    ).astype(np.float32)
    cheeks = beard.cheeks + (max(beard.chin, beard.cheeks) - beard.cheeks) * step(3.4 - side, 0.9)
    cover = step(top - down, 1.0) * step(83 - azimuth, 8) * cheeks
    upper, _ = outer_lips(across)
    lip = step(down - upper, 0.25) * step(-5.2 - down - 0.05 * side**2, 0.45) * step(3.05 - side, 0.5)
    sides = step(-6.2 - down, 0.8) * step(down + 8.8, 0.8) * step(0.5 - np.abs(side - 3.0), 0.3)
    return np.maximum(np.maximum(cover, beard.moustache * lip), sides * min(beard.chin, beard.moustache))


def strand_colours(
    colour: Colour, along: np.ndarray, around: np.ndarray, seed: int, *, curly: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Hair whose strands run with ``along``: (3, P) colour and (P,) gloss."""
    u, v = around + (seed & 255), along + (seed >> 8 & 255)
    table, fine = (texture.clouds(), 2) if curly else (texture.strands(), 1)
    streak = texture.look_up(table, u * fine, v * fine)
    tone = clamp(1 + (0.34 if curly else 0.26) * streak, 0.35, 1.9)
    return tinted(colour, tone), clamp(0.35 + 0.2 * streak, 0.05, 0.8)


def paint_beard(albedo: np.ndarray, gloss: np.ndarray, p: FaceParameters, surface_3P: np.ndarray) -> None:
    """The beard over (3, P) colour and (P,) gloss of the head, in place."""
    where = np.flatnonzero((surface_3P[1] < -0.5) & (surface_3P[2] < 92))
    x, down, azimuth = surface_3P[:, where]
    cover = beard_cover(p, x, down, azimuth)
    hairs = texture.look_up(texture.grain(), x * 9, down * 7 + (p.texture_seed & 255))
    colour = tinted(p.hair.colour, clamp(0.8 + 0.22 * hairs, 0.3, 1.4))
    blend(albedo, where, colour, cover * clamp(0.92 + 0.25 * hairs * (1.2 - cover), 0, 1))
    gloss[where] *= 1 - 0.7 * cover


def paint_scalp(
    albedo: np.ndarray, gloss: np.ndarray, p: FaceParameters, surface_3P: np.ndarray, pixel: float
) -> None:
    """The hair that grows on the head, in place."""
    hair = p.hair
    where = np.flatnonzero((surface_3P[1] > 1.5) | (surface_3P[2] > 60))
    x, down, azimuth = surface_3P[:, where]
    edge = hair_edge(hair, x, azimuth)
    shaved = hair.style == "buzz"
    curly = shaved or hair.style == "curly"
    jag = texture.look_up(texture.strands(), azimuth * 1.5 + x * 3 + (p.texture_seed & 255), down * 2)
    over = down - edge
    cover = step(over + (0.1 if shaved else 0.2) * jag, (0.9 if shaved else 0.5) + pixel) * (
        0.8 if shaved else 1.0
    )
    # Strands run down and away from the parting; azimuth carries the side.
    around = np.sign(x - hair.parting) * azimuth * 1.1 + 1.5 * x
    colour, shine = strand_colours(hair.colour, down * 2.2, around, p.texture_seed, curly=curly)
    if not curly:
        colour *= 1 - 0.4 * np.exp(-np.maximum(over, 0) * 1.6)
    blend(albedo, where, colour, cover)
    gloss[where] += (shine - gloss[where]) * cover
