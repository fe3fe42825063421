"""Light on painted surfaces: wrapped diffuse (a cheap stand-in for light scattered under skin), sky and ground, gloss, rim."""

from __future__ import annotations

import numpy as np

from pipeline.synthetic.parameters import Light

# Red light travels farther under the skin, so that its shadows start later.
_WRAP = (0.38, 0.20, 0.13)


def shade(
    albedo_3P: np.ndarray,
    gloss_P: np.ndarray,
    normals_3P: np.ndarray,
    open_P: np.ndarray,
    lit_P: np.ndarray,
    light: Light,
) -> np.ndarray:
    """Colour seen by a camera on the z axis.

    Args:
        albedo_3P: sRGB 0…1.
        gloss_P: Strength of the highlight, 0…1.
        normals_3P: Unit normals, camera axes.
        open_P: Share of ambient light that arrives, 0…1.
        lit_P: Share of the key light that arrives, 0…1 (cast shadows).
        light: The lights.

    Returns:
        (3, P) float32, display values 0…1.
    """
    nx, ny, nz = normals_3P
    direction = np.asarray(light.direction, dtype=np.float32)
    lx, ly, lz = direction / np.linalg.norm(direction)
    facing = lx * nx + ly * ny + lz * nz
    half = np.array([lx, ly, lz + 1], dtype=np.float32)
    hx, hy, hz = half / (np.linalg.norm(half) + 1e-6)
    aligned = np.maximum(hx * nx + hy * ny + hz * nz, 0)
    broad = (aligned * aligned) ** 2
    broad *= broad
    highlight = gloss_P * lit_P * (0.10 * broad + 0.22 * (broad * broad) ** 2)
    up = 0.5 + 0.5 * ny
    edge = np.maximum(1 - nz, 0) ** 2
    highlight += edge * edge * (0.05 + 0.9 * light.rim * up)
    # Cavities keep out some of the direct light too, or soft light would erase them.
    reached = (0.45 + 0.55 * open_P) * lit_P
    colour = np.empty_like(albedo_3P)
    for out, albedo, wrap, key, sky, ground in zip(
        colour, albedo_3P, _WRAP, light.key, light.sky, light.ground, strict=True
    ):
        diffuse = np.maximum(facing + np.float32(wrap), 0)
        diffuse *= np.float32(key / (1 + wrap))
        diffuse *= reached
        diffuse += (np.float32(ground) + np.float32(sky - ground) * up) * open_P
        diffuse *= albedo
        diffuse *= albedo
        diffuse += np.float32(key) * highlight
        np.sqrt(diffuse, out=out)  # the display's gamma: albedo was squared above
    # Highlights roll off instead of clipping.
    bright = colour > 0.8
    colour[bright] = 1 - 0.2 * np.exp((0.8 - colour[bright]) * 5)
    return colour
