"""The 68 landmarks on the head, in its surface coordinates.

The painter draws eyelids, brows and lips from the same curves, so that a landmark is on the feature it names by
construction, at any pose and expression.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.synthetic.head import CHIN, MOUTH_BAND, curve, locate, mean_head
from pipeline.synthetic.modes import MOUTH_HALF_WIDTH

INNER_CORNER, OUTER_CORNER = (1.62, -0.16), (4.68, 0.10)
_UPPER_LID = ((0, 0), (0.08, 0.42), (0.25, 0.83), (0.45, 1.0), (0.65, 0.92), (0.85, 0.55), (1, 0))
_LOWER_LID = ((0, 0), (0.1, 0.35), (0.3, 0.78), (0.6, 1.0), (0.85, 0.7), (1, 0))
_UPPER_LIP = ((0, -6.22), (0.22, -6.05), (0.42, -6.14), (0.7, -6.50), (0.9, -6.80), (1, -6.93))
_LOWER_LIP = ((0, -7.98), (0.25, -7.95), (0.5, -7.72), (0.75, -7.34), (0.92, -7.03), (1, -6.93))
_JAW_SPOTS = (
    (88.0, 0.0),
    (87.5, -2.6),
    (86.0, -6.6),
    (81.0, -10.4),
    (67.0, -11.42),
    (50.0, CHIN),
    (34.0, CHIN),
    (17.0, CHIN),
)


@dataclass(frozen=True)
class Eye:
    """The opening of one eye, in units of the mean eye.

    Attributes:
        upper: Height of the upper lid over the line between the corners, cm, eye fully open.
        lower: Depth of the lower lid under it, cm.
        closure: 0 open … 1 shut.
    """

    upper: float = 0.66
    lower: float = 0.45
    closure: float = 0.0

    def lids(self, across_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``down`` of the upper and of the lower lid at distances ``across_N`` from the midline, cm."""
        t = np.clip((across_N - INNER_CORNER[0]) / (OUTER_CORNER[0] - INNER_CORNER[0]), 0, 1)
        line = INNER_CORNER[1] + t * (OUTER_CORNER[1] - INNER_CORNER[1])
        low = line - self.lower * (1 - 0.25 * self.closure) * curve(t, _LOWER_LID)
        open_ = line + self.upper * curve(t, _UPPER_LID)
        return open_ + self.closure * (low - open_), low


@dataclass(frozen=True)
class Brow:
    """The midline of an eyebrow.

    Attributes:
        height: Shift from the mean brow, cm.
        arch: Height of the arch over a straight brow, cm.
        slope: Rise of the outer end, cm.
        thickness: Thickness at the inner third, cm.
        inner: Distance of the inner end from the midline, cm.
    """

    height: float = 0.0
    arch: float = 0.35
    slope: float = 0.25
    thickness: float = 0.55
    inner: float = 1.0

    def midline(self, across_N: np.ndarray) -> np.ndarray:
        """``down`` of the brow's middle, cm."""
        t = np.clip((across_N - self.inner) / (5.35 - self.inner), 0, 1)
        return (
            1.85
            + self.height
            + self.slope * t
            + self.arch * np.sin(np.pi * np.clip(t, 0, 1) ** 1.35)
            - 0.15 * t**4
        )


def outer_lips(across_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``down`` of the upper and lower borders of the lips at |across| ≤ the mouth's half-width, cm."""
    t = np.clip(np.abs(across_N) / MOUTH_HALF_WIDTH, 0, 1)
    return curve(t, _UPPER_LIP), curve(t, _LOWER_LIP)


@lru_cache(maxsize=1)
def _fixed() -> tuple[np.ndarray, np.ndarray]:
    """Surface coordinates (68, 2) of the landmarks that no parameter moves, and which those are."""
    head = mean_head()
    at = np.full((68, 2), np.nan)
    across_RC = head.across_V.reshape(len(head.rows_R), -1)
    for k, (azimuth, down) in enumerate(_JAW_SPOTS):
        row = np.array([np.interp(down, head.rows_R[::-1], column[::-1]) for column in across_RC.T])
        x = float(np.interp(azimuth, head.columns_C, row))
        at[k], at[16 - k] = (-x, down), (x, down)
    at[8] = (0, CHIN)
    at[27:31] = [(0, 0.35), (0, -1.05), (0, -2.4), (0, -3.75)]
    at[31:36] = [(-1.42, -4.55), (-0.72, -4.88), (0, -4.95), (0.72, -4.88), (1.42, -4.55)]
    half, (upper, lower) = MOUTH_HALF_WIDTH, MOUTH_BAND
    above = np.array([-1, -0.62, -0.24, 0, 0.24, 0.62, 1]) * half
    at[48:55] = np.stack([above, outer_lips(above)[0]], -1)
    below = np.array([0.62, 0.27, 0, -0.27, -0.62]) * half
    at[55:60] = np.stack([below, outer_lips(below)[1]], -1)
    at[60:65] = [
        (-0.88 * half, upper),
        (-0.33 * half, upper),
        (0, upper),
        (0.33 * half, upper),
        (0.88 * half, upper),
    ]
    at[65:68] = [(0.33 * half, lower), (0, lower), (-0.33 * half, lower)]
    return at, np.isfinite(at[:, 0])


def surface_coordinates(left_eye: Eye, right_eye: Eye, left_brow: Brow, right_brow: Brow) -> np.ndarray:
    """(68, 2) float64: ``across`` and ``down`` of every landmark, cm. Left is the viewer's."""
    at = _fixed()[0].copy()
    span = OUTER_CORNER[0] - INNER_CORNER[0]
    thirds = np.array([INNER_CORNER[0] + 0.30 * span, INNER_CORNER[0] + 0.70 * span])
    for eye, side, (outer, up_outer, up_inner, inner, low_inner, low_outer) in (
        (left_eye, -1, (36, 37, 38, 39, 40, 41)),
        (right_eye, 1, (45, 44, 43, 42, 47, 46)),
    ):
        upper, lower = eye.lids(thirds)
        at[outer], at[inner] = (
            (side * OUTER_CORNER[0], OUTER_CORNER[1]),
            (side * INNER_CORNER[0], INNER_CORNER[1]),
        )
        at[[up_inner, up_outer]] = np.stack([side * thirds, upper], -1)
        at[[low_inner, low_outer]] = np.stack([side * thirds, lower], -1)
    for brow, side, indices in ((left_brow, -1, [17, 18, 19, 20, 21]), (right_brow, 1, [26, 25, 24, 23, 22])):
        x = np.linspace(5.3, brow.inner + 0.1, 5)
        at[indices] = np.stack([side * x, brow.midline(x)], -1)
    return at


def landmark_weights(at_K2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K, 3) vertex indices and (K, 3) barycentric weights of landmarks given by surface coordinates."""
    return locate(at_K2[:, 0], at_K2[:, 1])
