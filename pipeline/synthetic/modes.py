"""A linear model over the mean head: how heads differ and faces move.

Every mode is a smooth displacement field, sculpted like the head itself; a coefficient of 1 is about one standard deviation
of identity modes, or the full expression (Ekman's action units, in the comments) of expression modes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from pipeline.synthetic.head import CHIN, HEAD_CENTRE_Z, MOUTH_BAND, bump, curve, mean_head

MOUTH_HALF_WIDTH = 2.6
EYE_CENTRE = (3.15, 0.0)

IDENTITY_MODES = (
    "width", "height", "depth", "lower_face", "jaw_width", "jaw_angle", "chin_forward", "chin_width", "chubby", "cheekbones",
    "nose_width", "nose_length", "nose_forward", "nose_hump", "nose_tip", "nose_bridge", "nostrils", "eye_spacing",
    "eye_size", "eye_tilt", "eye_depth", "brow_ridge", "brow_height", "lips", "upper_lip", "mouth_width", "mouth_height",
    "mouth_forward", "forehead_slope", "forehead_width",
)  # fmt: skip
EXPRESSION_MODES = (
    "jaw_open", "smile", "smirk", "frown", "pucker", "lips_part", "brow_raise", "brow_inner", "brow_furrow", "brow_tilt",
    "squint", "puff", "sneer", "jaw_side",
)  # fmt: skip


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _lower_lip_share(x: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much a vertex follows the jaw, and how far the lips' slit tears it from its neighbours across the mouth."""
    upper, lower = MOUTH_BAND
    follows = _sigmoid((-7.6 - down) * 1.1)
    slit = np.sqrt(np.clip(1 - (x / (MOUTH_HALF_WIDTH - 0.15)) ** 2, 0, None)) ** 0.8
    below = np.clip((upper - down) / (upper - lower), 0, 1)
    near_upper = np.exp(-((np.clip(down - upper, 0, None) / 1.6) ** 2))
    near_lower = np.exp(-((np.clip(lower - down, 0, None) / 4.0) ** 2))
    opened = follows + (1 - follows) * slit * near_lower
    shut = follows * (1 - slit * near_upper)
    return shut + (opened - shut) * below, slit


def _displacements(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, down: np.ndarray
) -> dict[str, tuple[np.ndarray | float, ...]]:
    # Smooth through the midline: a jump there would tear the chin.
    s, sign = np.abs(x), np.tanh(x / 0.8)
    front = np.clip((z + 9) / 4, 0, 1)
    to_chin = np.clip(-(y + 3) / 8.5, 0, 1.3)
    jaw = _sigmoid((-5.5 - y) * 1.0) * np.clip(s / 5, 0, 1.2)
    nose = bump(x, y, (0, -3.0), (2.0, 3.0)) * front
    nose_ridge = np.clip(np.exp(-((x / 1.3) ** 2)) * front * bump(0 * x, y, (0, -3.4), (1, 1.9)), 0, 1)
    eye = bump(s, y, EYE_CENTRE, (2.3, 1.5)) * front
    brow = bump(s, y, (3.0, 2.1), (2.8, 1.2)) * front
    inner_brow = bump(s, y, (1.2, 2.0), (1.3, 1.2)) * front
    outer_brow = bump(s, y, (4.8, 2.1), (1.4, 1.2)) * front
    mouth = bump(x, down, (0, -6.93), (3.2, 1.7)) * front
    corner = bump(s, down, (2.6, -6.93), (1.5, 1.5)) * front
    lip_upper = np.clip(1 - (s / 2.8) ** 2, 0, 1) * np.exp(-(((down + 6.4) / 0.6) ** 2)) * front
    lip_lower = np.clip(1 - (s / 2.8) ** 2, 0, 1) * np.exp(-(((down + 7.5) / 0.65) ** 2)) * front
    cheek = bump(s, y, (4.3, -4.4), (2.4, 2.6)) * front
    cheekbone = bump(s, y, (5.0, -2.2), (2.2, 1.4)) * front
    top = np.clip((y - 2) / 9, 0, 1)
    follow, slit = _lower_lip_share(x, down)
    below = np.clip((MOUTH_BAND[0] - down) / (MOUTH_BAND[0] - MOUTH_BAND[1]), 0, 1)
    near = np.exp(-(((down + 6.93) / 1.1) ** 2) - (s / 3.6) ** 4) * front
    return {
        "width": (0.045 * x, 0, 0),
        "height": (0, 0.035 * y, 0),
        "depth": (0, 0, 0.05 * (z - HEAD_CENTRE_Z) * np.where(z > HEAD_CENTRE_Z, 0.4, 1)),
        "lower_face": (0, -0.65 * to_chin, 0),
        "jaw_width": (0.45 * sign * jaw, 0, 0),
        "jaw_angle": (0.2 * sign * jaw, -0.55 * jaw * np.clip((s - 3) / 3, 0, 1), 0),
        "chin_forward": (0, 0, 0.45 * bump(x, y, (0, -10.6), (3.2, 2.4)) * front),
        "chin_width": (0.35 * sign * bump(s, y, (2.2, -11.2), (2.0, 1.6)), 0.1 * bump(s, y, (2.4, -11.2), (1.6, 1.5)), 0),
        "chubby": (0.38 * sign * cheek, 0, 0.38 * cheek + 0.25 * bump(x, down, (0, -12.8), (4, 1.2))),
        "cheekbones": (0.25 * sign * cheekbone, 0, 0.3 * cheekbone),
        "nose_width": (0.24 * sign * bump(s, y, (1.3, -3.9), (1.1, 1.4)) * front, 0, 0),
        "nose_length": (0, -0.4 * bump(x, y, (0, -4.2), (2.2, 1.9)) * front, 0),
        "nose_forward": (0, 0, 0.34 * nose_ridge),
        "nose_hump": (0, 0, 0.22 * bump(x, y, (0, -1.5), (0.9, 1.1)) * front),
        "nose_tip": (0, 0.28 * bump(x, y, (0, -3.9), (1.0, 0.8)) * front, 0),
        "nose_bridge": (0.12 * sign * nose * np.exp(-((s / 1.4) ** 2)), 0, 0.24 * bump(x, y, (0, 0.2), (1.1, 1.2)) * front),
        "nostrils": (0.1 * sign * bump(s, y, (1.25, -4.1), (0.6, 0.6)), 0, 0.22 * bump(s, y, (1.25, -4.1), (0.55, 0.6)) * front),
        "eye_spacing": (0.17 * sign * bump(s, y, (3.15, 0.6), (2.4, 2.6)) * front, 0, 0),
        "eye_size": (0.07 * sign * (s - EYE_CENTRE[0]) * eye, 0.10 * (y - EYE_CENTRE[1]) * eye, 0),
        "eye_tilt": (0, 0.085 * (s - EYE_CENTRE[0]) * eye, 0),
        "eye_depth": (0, 0, 0.2 * eye),
        "brow_ridge": (0, 0, 0.24 * brow),
        "brow_height": (0, 0.22 * brow, 0),
        "lips": (0, 0.13 * (lip_upper - lip_lower) * (np.abs(down + 6.93) > 0.05), 0.18 * (lip_upper + lip_lower)),
        "upper_lip": (0, 0.12 * lip_upper, 0.12 * lip_upper),
        "mouth_width": (0.085 * x * mouth, 0, -0.05 * corner),
        "mouth_height": (0, 0.28 * mouth, 0),
        "mouth_forward": (0, 0, 0.32 * mouth),
        "forehead_slope": (0, 0, -0.7 * top * front),
        "forehead_width": (0.25 * sign * np.clip(1 - np.abs(y - 5) / 5, 0, 1), 0, 0),
        # AU 26/27: rotation about the jaw joints at (±6, −1.5, −8), linear in an angle of 0.3.
        "jaw_open": (0, -0.30 * np.clip(z + 8, 0, None) * follow, 0.30 * np.clip(y + 1.5, None, 0) * follow * 0.9),
        # AU 12 + 6: corners up, out and back, cheeks up, lips thinner.
        "smile": (
            0.55 * sign * corner,
            0.55 * corner + 0.42 * cheek * np.clip((y + 6.5) / 3, 0, 1) - 0.14 * slit * near,
            -0.42 * corner + 0.34 * bump(s, y, (3.9, -3.2), (1.7, 1.4)) * front - 0.1 * slit * near,
        ),
        "smirk": (0.35 * np.clip(sign, 0, 1) * corner, 0.5 * np.clip(sign, 0, 1) * corner, -0.2 * np.clip(sign, 0, 1) * corner),
        # AU 15 + 17.
        "frown": (0.1 * sign * corner, -0.5 * corner + 0.12 * bump(x, y, (0, -9.5), (1.5, 1.2)), 0),
        # AU 18.
        "pucker": (-0.27 * x * near, 0.06 * (lip_upper - lip_lower), 0.62 * near * np.exp(-((s / 2.2) ** 2))),
        # AU 10 + 16: lips leave the teeth with the jaw shut.
        "lips_part": (0, slit * near * (0.34 * (1 - below) - 0.36 * below), 0),
        "brow_raise": (0, 0.75 * brow + 0.25 * bump(x, y, (0, 3.6), (5, 1.5)) * front, 0.05 * brow),  # AU 1 + 2
        "brow_inner": (0, 0.65 * inner_brow - 0.1 * outer_brow, 0),  # AU 1
        "brow_furrow": (-0.3 * sign * inner_brow, -0.48 * inner_brow, 0.15 * inner_brow),  # AU 4
        "brow_tilt": (0, 0.35 * sign * brow, 0),
        "squint": (0, 0.2 * bump(s, y, (3.2, -1.1), (1.8, 0.7)) * front - 0.2 * brow, 0.12 * bump(s, y, (3.2, -1.1), (1.6, 0.6))),
        "puff": (0.3 * sign * cheek, 0, 0.5 * cheek),
        "sneer": (0.12 * sign * bump(s, y, (1.4, -4), (0.8, 0.9)), 0.3 * bump(s, y, (1.2, -4.4), (1.0, 1.0)) * front, 0),
        "jaw_side": (0.6 * follow * front, 0, -0.1 * sign * follow),
    }  # fmt: skip


@lru_cache(maxsize=1)
def displacement_fields() -> Mapping[str, np.ndarray]:
    """Mode name → (V, 3) float32 displacement of the mean head, cm."""
    head = mean_head()
    x, y, z = head.vertices_V3.astype(np.float64).T
    down = head.down_V.astype(np.float64)
    fields: dict[str, np.ndarray] = {}
    for name, parts in _displacements(x, y, z, down).items():
        field = np.zeros((len(x), 3), dtype=np.float32)
        for axis, part in enumerate(parts):
            field[:, axis] = part
        fields[name] = field
    return fields


def deform(coefficients: Mapping[str, float]) -> np.ndarray:
    """The head with the given mode coefficients.

    Returns:
        (V, 3) float32 vertices, cm.

    Raises:
        KeyError: An unknown mode.
    """
    fields = displacement_fields()
    vertices = mean_head().vertices_V3.copy()
    for name, value in coefficients.items():
        if value:
            vertices += np.float32(value) * fields[name]
    return vertices


def jaw_height(azimuth: np.ndarray) -> np.ndarray:
    """``down`` at which the jaw landmarks of a given azimuth (degrees) lie: on the jaw line in front, up the cheek behind."""
    return curve(
        np.abs(azimuth), ((0, CHIN), (66, CHIN + 0.15), (78, CHIN + 0.6), (83, -8.0), (86, -4.2), (88, 0.0))
    )
