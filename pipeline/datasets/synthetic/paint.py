"""Painting every visible pixel by its material."""

from __future__ import annotations

import numpy as np

from pipeline.datasets.synthetic import texture
from pipeline.datasets.synthetic.appearance import blend, paint_hair, paint_head, paint_skin, step
from pipeline.datasets.synthetic.parameters import FaceParameters
from pipeline.datasets.synthetic.parts import Material


def _cloth(colour: tuple[float, float, float], u: np.ndarray, v: np.ndarray, stripes: float) -> np.ndarray:
    weave = texture.look_up(texture.grain(), u * 10, v * 10)
    folds = texture.look_up(texture.clouds(), u * 5, v * 3)
    albedo = (
        np.asarray(colour, dtype=np.float32) * np.clip(1 + 0.05 * weave + 0.10 * folds, 0.4, 1.5)[:, None]
    )
    if stripes:
        albedo *= np.where(np.mod(v, 2 * stripes) < stripes, 1.0, 0.62)[:, None].astype(np.float32)
    return albedo


def _body(p: FaceParameters, surface: np.ndarray, pixel: float) -> tuple[np.ndarray, np.ndarray]:
    x, y, z = surface.T
    albedo, gloss = paint_skin(p, x, y)
    albedo *= 0.94
    collar = p.wear.neckline + 0.05 * np.abs(x) ** 1.3 - 0.12 * np.clip(-8 - z, 0, 4) * 0
    collar = collar + np.clip(-z - 9, 0, 6) * 0.5
    covered = step(collar - y, 0.2 + pixel)
    rim = 1 - 0.3 * np.exp(-(((collar - y - 0.35) / 0.3) ** 2))
    cloth = _cloth(p.wear.cloth_colour, x, y, p.wear.stripes) * rim[:, None]
    blend(albedo, np.arange(len(x)), cloth, covered)
    return albedo, gloss * (1 - 0.9 * covered)


def _ear(p: FaceParameters, surface: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y, z = surface.T
    albedo, gloss = paint_skin(p, x * 2, y * 3)
    radial = np.hypot(y, z)
    hollow = np.clip(1 - ((radial - 0.05) / 0.55) ** 2, 0, 1)
    ridge = np.exp(-(((radial - 0.72) / 0.1) ** 2))
    albedo *= np.array([1.0, 0.93, 0.92], dtype=np.float32) * (1 - 0.4 * hollow - 0.12 * ridge)[:, None]
    return albedo, gloss


def paint(
    p: FaceParameters, material_P: np.ndarray, surface_P3: np.ndarray, gap: float, pixel: float
) -> tuple[np.ndarray, np.ndarray]:
    """Colour (sRGB 0…1) and gloss of every visible pixel.

    Args:
        p: The face.
        material_P: ``Material`` of each pixel.
        surface_P3: Its surface coordinates, whose meaning is the material's.
        gap: Distance between the inner lips, cm.
        pixel: Width of a pixel on the face, cm.
    """
    albedo = np.zeros((len(material_P), 3), dtype=np.float32)
    gloss = np.zeros(len(material_P), dtype=np.float32)
    present = np.flatnonzero(np.bincount(material_P, minlength=len(Material)))
    for material in map(Material, present):
        where = np.flatnonzero(material_P == material)
        surface = surface_P3[where]
        x, y, z = surface.T
        if material is Material.HEAD:
            colour, shine = paint_head(p, surface, gap, pixel)
        elif material is Material.BODY:
            colour, shine = _body(p, surface, pixel)
        elif material is Material.EAR:
            colour, shine = _ear(p, surface)
        elif material is Material.HAIR:
            colour, shine = paint_hair(p.hair.colour, y * 2.2, x * 9, p.texture_seed, curly=False)
            colour = colour * (1 - 0.3 * np.clip(z, 0, 1))[:, None]
        elif material is Material.FABRIC:
            colour, shine = _cloth(p.wear.headwear_colour, x, y, 0.0), np.full(len(where), 0.05)
        elif material is Material.FRAME:
            colour, shine = (
                np.broadcast_to(np.float32(p.wear.frame_colour), surface.shape),
                np.full(len(where), 0.8),
            )
        elif material is Material.LENS:
            ramp = np.clip(0.5 + 0.3 * y, 0, 1)[:, None]
            colour, shine = np.array([0.10, 0.09, 0.09]) + 0.16 * (1 - ramp), np.full(len(where), 1.0)
        elif material is Material.HAND:
            colour, shine = paint_skin(p, x, y)
            knuckles = texture.look_up(texture.clouds(), x * 10, y * 10)
            colour = colour * (1 - 0.04 * knuckles[:, None] * np.array([0.3, 1, 1])) * 0.97
        else:
            tint = p.occluder.colour if p.occluder else (0.5, 0.5, 0.5)
            colour, shine = _cloth(tint, x * 0.3, y * 0.3, 0.0), np.full(len(where), 0.5)
        albedo[where], gloss[where] = colour, shine
    return np.maximum(albedo, 0), gloss
