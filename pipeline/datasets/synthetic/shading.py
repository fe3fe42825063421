"""Light on painted surfaces: wrapped diffuse (a cheap stand-in for light scattered under skin), sky and ground, gloss, rim."""

from __future__ import annotations

import numpy as np

from pipeline.datasets.synthetic.parameters import Light

# Red light travels farther under the skin, so that its shadows start later.
_WRAP_SKIN = np.array([0.38, 0.20, 0.13], dtype=np.float32)


def shade(
    albedo_P3: np.ndarray,
    gloss_P: np.ndarray,
    normals_P3: np.ndarray,
    open_P: np.ndarray,
    lit_P: np.ndarray,
    light: Light,
) -> np.ndarray:
    """Colour seen by a camera on the z axis.

    Args:
        albedo_P3: sRGB 0…1.
        gloss_P: Strength of the highlight, 0…1.
        normals_P3: Unit normals, camera axes.
        open_P: Share of ambient light that arrives, 0…1.
        lit_P: Share of the key light that arrives, 0…1 (cast shadows).
        light: The lights.

    Returns:
        (P, 3) float32, display values 0…1.
    """
    direction = np.asarray(light.direction, dtype=np.float32)
    direction = direction / np.linalg.norm(direction)
    facing = normals_P3 @ direction
    diffuse = np.maximum((facing[:, None] + _WRAP_SKIN) / (1 + _WRAP_SKIN), 0)
    diffuse *= lit_P[:, None]
    diffuse *= np.asarray(light.key, dtype=np.float32)
    up = (0.5 + 0.5 * normals_P3[:, 1:2]) * 1.0
    ground = np.asarray(light.ground, dtype=np.float32)
    ambient = ground + up * (np.asarray(light.sky, dtype=np.float32) - ground)
    # Cavities keep a little of the direct light too, or soft light would erase them.
    ambient *= open_P[:, None]
    diffuse *= (0.45 + 0.55 * open_P)[:, None]
    colour = albedo_P3 * albedo_P3 * (diffuse + ambient)
    half = direction + np.array([0, 0, 1], dtype=np.float32)
    half /= np.linalg.norm(half) + 1e-6
    aligned = np.maximum(normals_P3 @ half, 0)
    aligned *= aligned
    aligned *= aligned
    broad = aligned * aligned
    highlight = gloss_P * lit_P * (0.10 * broad + 0.22 * (broad * broad) ** 2)
    edge = np.maximum(1 - normals_P3[:, 2], 0)
    edge = edge * edge * edge
    highlight += edge * (0.06 + 0.9 * light.rim * np.maximum(normals_P3[:, 1] * 0.5 + 0.5, 0) * edge)
    colour += highlight[:, None] * np.asarray(light.key, dtype=np.float32)
    # Square root is the display's gamma (albedo was squared above); highlights roll off instead of clipping.
    np.sqrt(colour, out=colour)
    return np.where(colour > 0.8, 1 - 0.2 * np.exp((0.8 - colour) / 0.2), colour)
