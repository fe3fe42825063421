"""The mean head: a parametric surface in centimetres, sculpted from anthropometric proportions.

Coordinates are the head's own: x to the viewer's right, y up, z towards the viewer; the origin lies between the eyes.
The surface is sampled on a grid of rows (heights) and columns (azimuths). A vertex keeps three *surface coordinates* that
never change when the face moves, and in which every painted feature and every landmark is placed:

* ``across``: the mean head's x, cm;
* ``down``: the row's height at the midline, cm (rows bend upwards along the jaw, so that one row is the jaw line);
* ``azimuth``: the angle from the midline, degrees, 0…180 on both sides.

The mouth is a slit: the rows of ``MOUTH_BAND`` coincide in the mean head and part when the jaw opens; what lies between
them is the inside of the mouth. Sizes follow Farkas, *Anthropometry of the Head and Face* (1994): e.g. eye corners
3.2 / 9.2 cm apart, mouth 5.2 cm wide, nasion to chin 12 cm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.synthetic.grid import grid_triangles

HEAD_CENTRE_Z = -8.5
CROWN = 4.0  # above this height the skull closes as a superellipsoid
CHIN = -11.5
MOUTH_BAND = (-6.90, -6.96)  # rows of the upper and of the lower inner lip, as ``down``
JAW_BEND_START = -1.0


@dataclass(frozen=True)
class HeadGrid:
    """The mean head, float32.

    Attributes:
        rows_R: ``down`` of each row, from the crown to the underside of the chin.
        columns_C: Signed azimuth of each column, degrees, increasing; the last column joins the first behind the head.
        vertices_V3: V = R × C vertices, row by row, cm.
        across_V: Surface coordinate, cm.
        down_V: Surface coordinate, cm.
        azimuth_V: Surface coordinate, degrees, 0…180.
        triangles_T3: Vertex indices, counter-clockwise seen from outside.
    """

    rows_R: np.ndarray
    columns_C: np.ndarray
    vertices_V3: np.ndarray
    across_V: np.ndarray
    down_V: np.ndarray
    azimuth_V: np.ndarray
    triangles_T3: np.ndarray


Knots = tuple[tuple[float, float], ...]


@lru_cache(maxsize=128)
def _cubics(knots: Knots, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N,) and cubic coefficients (4, N − 1) in x − position, highest power first."""
    at, value = np.asarray(knots, dtype=np.float64).T
    slope, step = np.gradient(value, at), np.diff(at)
    chord = np.diff(value) / step
    third = (slope[:-1] + slope[1:] - 2 * chord) / step**2
    second = (3 * chord - 2 * slope[:-1] - slope[1:]) / step
    return at.astype(dtype), np.stack([third, second, slope[:-1], value[:-1]]).astype(dtype)


def curve(x: np.ndarray, knots: Knots) -> np.ndarray:
    """Smooth interpolation: cubic Hermite with finite-difference tangents, constant outside the knots.

    Args:
        x: Where to evaluate, any shape; float32 stays float32.
        knots: (position, value) pairs, positions increasing.
    """
    x = np.asarray(x)
    at, coefficients = _cubics(knots, "f4" if x.dtype == np.float32 else "f8")
    x = np.minimum(np.maximum(x, at[0]), at[-1])
    i = np.searchsorted(at[1:-1], x, side="right")
    third, second, first, value = (c[i] for c in coefficients)
    t = x - at[i]
    return np.asarray(((third * t + second) * t + first) * t + value)


# Below the crown, by height: half-width beside the ears, midline profile without nose and lips, depth behind the centre,
# and the exponent of the horizontal section (2 is an ellipse; less is more pointed).
_HALF_WIDTH = (
    (-13, 4.5),
    (-11.5, 5.0),
    (-9.7, 5.45),
    (-8, 5.9),
    (-6, 6.35),
    (-4, 6.75),
    (-2, 7.1),
    (0, 7.35),
    (2, 7.6),
    (4, 7.75),
)
_PROFILE = (
    (-13, -1.2), (-11.5, -0.35), (-10.9, 0.35), (-10.2, 0.55), (-9.3, 0.3), (-8.6, 0.2), (-7.8, 0.55), (-6.9, 0.75),
    (-6, 0.72), (-4.8, 0.55), (-3, 0.2), (-1, -0.15), (0.5, -0.05), (1.6, 0.4), (2.6, 0.62), (4, 0.5),
)  # fmt: skip
_BACK = ((-12, 4.0), (-8, 5.5), (-5, 7.2), (-2, 8.8), (1, 9.6), (4, 9.8))
_EXPONENT = ((-12, 1.75), (-9, 1.75), (-6.5, 1.82), (-3, 2.0), (0, 2.1), (4, 2.2))
# Height of the jaw line above the chin, by azimuth: it climbs to the angle of the jaw, then to the ear.
_JAW_RISE = (
    (0, 0),
    (17, 0.22),
    (34, 0.8),
    (50, 1.75),
    (66, 3.1),
    (78, 5.0),
    (85, 7.0),
    (92, 8.2),
    (110, 8.8),
    (180, 9.0),
)
_NOSE_HEIGHT = (
    (-5.7, 0), (-5.2, 0.06), (-4.85, 0.55), (-4.55, 1.45), (-4.2, 2.0), (-3.8, 2.2), (-3.4, 2.1), (-2.6, 1.7),
    (-1.5, 1.25), (-0.5, 0.85), (0.5, 0.5), (1.4, 0.15), (2.4, 0),
)  # fmt: skip
_NOSE_WIDTH = ((-5.5, 1.15), (-4.4, 1.1), (-3.6, 1.02), (-2.6, 0.85), (-1, 0.8), (0.5, 0.95), (2.4, 1.4))


def bump(x: np.ndarray, y: np.ndarray, at: tuple[float, float], radius: tuple[float, float]) -> np.ndarray:
    """A Gaussian of height 1 at ``at`` with radii ``radius`` (cm)."""
    return np.exp(-(((x - at[0]) / radius[0]) ** 2) - ((y - at[1]) / radius[1]) ** 2)


def _relief(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height of the features over the smooth head, cm, at x and row height y (front half only)."""
    side = np.abs(x)
    z = curve(y, _NOSE_HEIGHT) * np.exp(-((side / curve(y, _NOSE_WIDTH)) ** 2.2))
    z += 0.85 * bump(side, y, (1.25, -4.1), (0.52, 0.6))  # wings of the nose
    z -= 0.30 * bump(side, y, (0.62, -4.75), (0.34, 0.25))  # nostrils
    z -= 0.95 * bump(side, y, (2.6, 0.25), (1.7, 1.15))  # orbits
    z += 0.62 * bump(side, y, (3.15, 0.0), (1.25, 0.8))  # eyeballs under the lids
    z += 0.42 * bump(side, y, (2.6, 1.95), (2.2, 0.7))  # brow ridge
    z += 0.38 * bump(side, y, (4.4, -2.8), (1.9, 1.7))  # cheekbones
    z -= 0.22 * bump(side, y, (2.6, -4.9), (0.55, 1.2))  # nasolabial fold
    z -= 0.12 * bump(side, y, (4.4, -6.8), (1.5, 1.8))  # hollow of the cheek
    width = np.clip(1 - (side / 2.75) ** 2, 0, None)
    z += width * (
        0.55 * np.exp(-(((y + 6.45) / 0.45) ** 2)) + 0.68 * np.exp(-(((y + 7.45) / 0.48) ** 2))
    )  # lips
    z -= 0.25 * width * np.exp(-(((y + 6.93) / 0.16) ** 2))
    z -= 0.12 * bump(side, y, (0, -5.5), (0.3, 0.6))  # philtrum
    z -= 0.18 * bump(side, y, (2.75, -6.95), (0.45, 0.5))  # corners of the mouth
    z += 0.38 * bump(side, y, (0, -10.3), (1.7, 1.1))  # chin
    return z


def _smooth_surface(y: np.ndarray, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X and z of the featureless head at height y and signed azimuth (degrees)."""
    closing = np.clip((y - CROWN) / (11.6 - CROWN), 0, 1)
    taper = (1 - closing**2.2) ** (1 / 2.2)
    below = np.minimum(y, CROWN)
    half_width = curve(below, _HALF_WIDTH) * taper
    front = (curve(below, _PROFILE) - HEAD_CENTRE_Z) * taper
    back = curve(below, _BACK) * taper
    power = 2 / curve(below, _EXPONENT)
    sine, cosine = np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))
    x = half_width * np.sign(sine) * np.abs(sine) ** power
    z = HEAD_CENTRE_Z + np.where(cosine >= 0, front * np.abs(cosine) ** power, -back * np.abs(cosine))
    return x, z


def _rows() -> np.ndarray:
    crown = CROWN + (11.6 - CROWN) * np.sin(np.radians(np.linspace(89.5, 7, 9)))
    upper, lower = MOUTH_BAND
    pieces = [
        crown,
        np.linspace(4.0, 2.6, 4)[:-1],
        np.linspace(2.6, -1.2, 12)[:-1],
        np.linspace(-1.2, -3.3, 5)[:-1],
        np.linspace(-3.3, -5.3, 9)[:-1],
        np.linspace(-5.3, -5.9, 3)[:-1],
        np.linspace(-5.9, upper, 6)[:-1],
        np.linspace(upper, lower, 3),
        np.linspace(lower, -8.4, 7)[1:],
        np.linspace(-8.4, CHIN, 8)[1:],
        CHIN - np.array([0.25, 0.6, 1.4, 2.4, 3.4]),
    ]
    return np.concatenate(pieces)


def _columns() -> np.ndarray:
    half = np.concatenate(
        [
            np.arange(1, 16, 2),
            np.arange(18, 40, 3),
            np.arange(42, 64, 4),
            [69, 76, 83, 90, 100, 116, 136, 162],
        ]
    )
    return np.concatenate([-half[::-1], half]).astype(np.float64)


@lru_cache(maxsize=1)
def mean_head() -> HeadGrid:
    """The mean head; built once per process."""
    rows, columns = _rows(), _columns()
    down, azimuth = np.meshgrid(rows, columns, indexing="ij")
    # In the band between the lips every row lies on the upper one, so that a closed mouth is closed.
    height = np.where(
        down < MOUTH_BAND[0], np.minimum(down + (MOUTH_BAND[0] - MOUTH_BAND[1]), MOUTH_BAND[0]), down
    )
    on_face = np.maximum(height, CHIN)
    bend = np.clip((JAW_BEND_START - on_face) / (JAW_BEND_START - CHIN), 0, 1)
    y = on_face + bend * curve(np.abs(azimuth), _JAW_RISE)
    x, z = _smooth_surface(y, azimuth)
    across, side = x.copy(), np.abs(azimuth)
    front = np.clip((95 - side) / 30, 0, 1)
    z = z + front * _relief(x, on_face)
    # Past the jaw line the surface turns inwards to the neck.
    inwards = np.clip((CHIN - down) / 3.4, 0, 1)
    x *= 1 - 0.75 * inwards
    z += (HEAD_CENTRE_Z + 0.5 - z) * 0.75 * inwards
    y += -0.28 * np.sin(np.pi * np.clip(inwards * 2.6, 0, 1)) + 1.2 * inwards**2
    return HeadGrid(
        rows_R=rows,
        columns_C=columns,
        vertices_V3=np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float32),
        across_V=across.reshape(-1).astype(np.float32),
        down_V=down.reshape(-1).astype(np.float32),
        azimuth_V=side.reshape(-1).astype(np.float32),
        triangles_T3=grid_triangles(len(rows), len(columns), closed=True),
    )


def locate(across_N: np.ndarray, down_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find points of the front of the head by their surface coordinates.

    Args:
        across_N: (N,) ``across``, cm, within the front half.
        down_N: (N,) ``down``, cm.

    Returns:
        (N, 3) vertex indices of the triangle holding each point and (N, 3) its barycentric weights, which stay valid
        however the vertices move.
    """
    head = mean_head()
    rows, columns = head.rows_R, len(head.columns_C)
    row = np.clip(np.searchsorted(-rows, -down_N, side="right") - 1, 0, len(rows) - 2)
    low = (rows[row] - down_N) / (rows[row] - rows[row + 1])
    across_RC = head.across_V.reshape(len(rows), columns)
    line_NC = across_RC[row] * (1 - low)[:, None] + across_RC[row + 1] * low[:, None]
    front = np.abs(head.columns_C) <= 90
    first = int(np.flatnonzero(front)[0])
    line_NC = line_NC[:, front]
    column = np.clip((line_NC <= across_N[:, None]).sum(axis=1) - 1, 0, line_NC.shape[1] - 2)
    take = np.arange(len(column))
    left, right = line_NC[take, column], line_NC[take, column + 1]
    over = np.clip((across_N - left) / (right - left), 0, 1)
    low = np.clip(low, 0, 1)
    corner = row * columns + column + first
    lower = low >= over  # which side of the cell's diagonal
    indices = np.stack([corner, corner + columns + 1, np.where(lower, corner + columns, corner + 1)], -1)
    weights = np.where(
        lower[:, None], np.stack([1 - low, over, low - over], -1), np.stack([1 - over, low, over - low], -1)
    )
    return indices, weights
