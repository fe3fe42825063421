"""Colour and gloss of every visible pixel, by its material and surface coordinates."""

from __future__ import annotations

import numpy as np

from pipeline.synthetic import texture
from pipeline.synthetic.brush import Colour, blend, clamp, dim, flat, line, step, tinted
from pipeline.synthetic.features import paint_brow, paint_eye, paint_mouth
from pipeline.synthetic.hair import hat_edge, mask_cover, paint_beard, paint_scalp, strand_colours
from pipeline.synthetic.parameters import FaceParameters
from pipeline.synthetic.parts import Material
from pipeline.synthetic.skin import (
    paint_complexion,
    paint_freckles,
    paint_nostrils,
    paint_skin,
    paint_wrinkles,
)

_Painted = tuple[np.ndarray, np.ndarray]


def _cloth(colour: Colour, u: np.ndarray, v: np.ndarray, stripes: float = 0.0) -> np.ndarray:
    weave = texture.look_up(texture.grain(), u * 10, v * 10)
    folds = texture.look_up(texture.clouds(), u * 5, v * 3)
    tone = clamp(1 + 0.05 * weave + 0.10 * folds, 0.4, 1.5)
    if stripes:
        tone *= np.where(np.mod(v, 2 * stripes) < stripes, np.float32(1), np.float32(0.62))
    return tinted(colour, tone)


def _head(p: FaceParameters, coordinates_5P: np.ndarray, gap: float, pixel: float) -> _Painted:
    surface_3P = coordinates_5P[:3]
    x, down, azimuth, flush, shiny = coordinates_5P
    albedo, gloss = paint_skin(p, x, down)
    face = np.flatnonzero((down < 6.5) & (down > -12) & (azimuth < 75))
    xf, df = x[face], down[face]
    side = np.abs(xf)
    paint_complexion(albedo, gloss, p, flush, shiny)
    near = face[(side < 2.4) & (df < -3.2) & (df > -5.4)]
    paint_nostrils(albedo, near, x[near], down[near])
    if p.skin.age > 0.5:
        paint_wrinkles(albedo, face, xf, df, p.skin.age - 0.5)
    if p.skin.freckles:
        paint_freckles(albedo, face, xf, df, p.skin.freckles)
    for sign in (-1, 1):
        near = face[(sign * xf > 0.3) & (side < 6) & (np.abs(df) < 1.9)]
        if len(near):
            paint_eye(albedo, gloss, near, np.abs(x[near]), down[near], sign, p, pixel)
    if p.beard.moustache or p.beard.chin or p.beard.cheeks:
        paint_beard(albedo, gloss, p, surface_3P)
    mouth = face[(side < 3.0) & (df < -5.6) & (df > -8.4)]
    if len(mouth) and not p.wear.mask:
        paint_mouth(albedo, gloss, mouth, x[mouth], down[mouth], p, gap, pixel)
    for sign, brow in ((-1, p.left_brow), (1, p.right_brow)):
        near = face[(sign * xf > 0.3) & (side < 6) & (np.abs(df - 2) < 2)]
        if len(near):
            paint_brow(albedo, near, np.abs(x[near]), down[near], brow, p, pixel)
    if p.hair.style != "bald":
        paint_scalp(albedo, gloss, p, surface_3P, pixel)
    if p.wear.headwear:
        _hat(albedo, gloss, p, surface_3P, pixel)
    if p.wear.mask:
        _mask(albedo, gloss, p, surface_3P)
    return albedo, gloss


def _hat(
    albedo: np.ndarray, gloss: np.ndarray, p: FaceParameters, surface_3P: np.ndarray, pixel: float
) -> None:
    where = np.flatnonzero((surface_3P[1] > -10) & ((surface_3P[1] > 3) | (surface_3P[2] > 60)))
    x, down, azimuth = surface_3P[:, where]
    over = down - hat_edge(p.wear.headwear, azimuth)
    cloth = _cloth(p.wear.headwear_colour, np.sign(x) * azimuth * 0.15, down)
    if p.wear.headwear == "beanie":
        ribs = 0.5 + 0.5 * np.sin(azimuth * 1.1)
        dim(cloth, (1, 1, 1), 0.22 * ribs + 0.2 * line(over - 2.6, 0.25))
    elif p.wear.headwear == "cap":
        dim(cloth, (1, 1, 1), 0.25 * line(np.mod(azimuth, 60) - 30, 1.5) + 0.25 * line(over, 0.3))
    cover = step(over, 0.1 + pixel)
    blend(albedo, where, cloth, cover)
    gloss[where] *= 1 - cover


def _mask(albedo: np.ndarray, gloss: np.ndarray, p: FaceParameters, surface_3P: np.ndarray) -> None:
    where = np.flatnonzero((surface_3P[1] < -1.5) & (surface_3P[2] < 92))
    x, down, azimuth = surface_3P[:, where]
    cover = mask_cover(x, down, azimuth)
    strap = line(down + 2.9 - 0.05 * (azimuth - 60), 0.14) * step(azimuth - 60, 4)
    strap = np.maximum(strap, line(down + 9.0 + 0.1 * (azimuth - 60), 0.14) * step(azimuth - 60, 4))
    cloth = _cloth(p.wear.mask_colour, x, down)
    pleats = line(np.mod(down, 1.7) - 0.85, 0.12) * step(down + 10.2, 0.5) * step(-4.2 - down, 0.5)
    dim(cloth, (1, 1, 0.9), 0.28 * pleats)
    blend(albedo, where, cloth, np.maximum(cover, strap))
    gloss[where] *= 1 - cover


def _body(p: FaceParameters, surface_3P: np.ndarray, pixel: float) -> _Painted:
    x, y, z = surface_3P
    albedo, gloss = paint_skin(p, x, y)
    albedo *= np.float32(0.93)
    collar = p.wear.neckline + 0.05 * np.abs(x) ** 1.3 + 0.5 * clamp(-z - 9, 0, 6)
    under = collar - y
    covered = step(under, 0.2 + pixel)
    cloth = _cloth(p.wear.cloth_colour, x, y, p.wear.stripes)
    dim(cloth, (1, 1, 1), 0.3 * line(under - 0.35, 0.3))
    blend(albedo, np.arange(len(x)), cloth, covered)
    return albedo, gloss * (1 - 0.9 * covered)


def _ear(p: FaceParameters, surface_3P: np.ndarray) -> _Painted:
    x, y, z = surface_3P
    albedo, gloss = paint_skin(p, x * 2, y * 3)
    radial = np.hypot(y, z)
    hollow = clamp(1 - ((radial - 0.05) / 0.55) ** 2, 0, 1)
    dim(albedo, (0.85, 1, 1), 0.30 * hollow + 0.12 * line(radial - 0.72, 0.1))
    dim(albedo, (0, 0.08, 0.08), np.ones_like(x))
    return albedo, gloss


def _other(p: FaceParameters, material: Material, surface_3P: np.ndarray) -> _Painted:
    x, y, z = surface_3P
    if material is Material.HAIR:
        colour, shine = strand_colours(p.hair.colour, y * 2.2, x * 9, p.texture_seed, curly=False)
        dim(colour, (1, 1, 1), 0.3 * clamp(z, 0, 1))
        return colour, shine
    if material is Material.FRAME:
        return flat(p.wear.frame_colour, len(x)), np.full(len(x), 0.8, dtype=np.float32)
    if material is Material.LENS:
        return tinted((0.2, 0.18, 0.18), 0.5 + clamp(0.5 - 0.3 * y, 0, 1)), np.full(
            len(x), 1.0, dtype=np.float32
        )
    if material is Material.HAND:
        colour, shine = paint_skin(p, x, y)
        dim(colour, (0.3, 1, 1), 0.04 * texture.look_up(texture.clouds(), x * 10, y * 10) + 0.03)
        return colour, shine
    if material is Material.FABRIC:
        return _cloth(p.wear.headwear_colour, x, y), np.full(len(x), 0.05, dtype=np.float32)
    tint = p.occluder.colour if p.occluder else (0.5, 0.5, 0.5)
    return _cloth(tint, x * 0.3, y * 0.3), np.full(len(x), 0.5, dtype=np.float32)


def paint(
    p: FaceParameters, material_P: np.ndarray, coordinates_5P: np.ndarray, gap: float, pixel: float
) -> _Painted:
    """Colour (3, P) sRGB 0…1 and gloss (P,) of every visible pixel.

    Args:
        p: The face.
        material_P: ``Material`` of each pixel.
        coordinates_5P: Its three surface coordinates, whose meaning is the material's, and on the head ``complexion_maps``.
        gap: Distance between the inner lips, cm.
        pixel: Width of a pixel on the face, cm.
    """
    albedo = np.zeros((3, len(material_P)), dtype=np.float32)
    gloss = np.zeros(len(material_P), dtype=np.float32)
    for present in np.flatnonzero(np.bincount(material_P)):
        material = Material(int(present))
        where = np.flatnonzero(material_P == material)
        surface = np.ascontiguousarray(coordinates_5P[:, where])
        if material is Material.HEAD:
            colour, shine = _head(p, surface, gap, pixel)
        elif material is Material.BODY:
            colour, shine = _body(p, surface[:3], pixel)
        elif material is Material.EAR:
            colour, shine = _ear(p, surface[:3])
        else:
            colour, shine = _other(p, material, surface[:3])
        for channel, values in zip(albedo, colour, strict=True):
            channel[where] = values
        gloss[where] = shine
    return albedo, gloss
