"""A vectorised triangle rasteriser: which triangle each pixel sees.

Shading is deferred: the rasteriser yields one triangle and its barycentric weights per covered pixel, so that everything
else is evaluated once per visible pixel. Triangles become scan lines and scan lines become fragments by ``numpy.repeat``;
no Python loop runs over triangles or pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Visible:
    """What the camera sees.

    Attributes:
        pixels_P: Flat indices (row × width + column) of covered pixels, increasing.
        triangles_P: The nearest triangle at each.
        weights_3P: Barycentric weights in that triangle.
        depth_HW: Nearest depth, larger is nearer; −inf where nothing is.
    """

    pixels_P: np.ndarray
    triangles_P: np.ndarray
    weights_3P: np.ndarray
    depth_HW: np.ndarray


def _repeat_ranges(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Owners 0 (n₀ times), 1 (n₁ times), … and positions 0…n₀−1, 0…n₁−1, … for counts (n₀, n₁, …)."""
    owner = np.repeat(np.arange(len(counts), dtype=np.intp), counts)
    start = np.cumsum(counts) - counts
    return owner, np.arange(len(owner), dtype=np.intp) - start[owner]


def _sorted_pair(
    xa: np.ndarray, ya: np.ndarray, xb: np.ndarray, yb: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two vertices of each triangle, the upper one first."""
    swap = ya > yb
    return np.where(swap, xb, xa), np.where(swap, yb, ya), np.where(swap, xa, xb), np.where(swap, ya, yb)


def _scan(
    x_3T: list[np.ndarray], y_3T: list[np.ndarray], height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangle, column and row of every pixel centre inside a triangle (half-open, so shared edges are drawn once)."""
    x0, x1, x2 = x_3T
    y0, y1, y2 = y_3T
    # Sorted by y; neighbours then compute a shared edge from the same two vertices in the same order: no cracks.
    x0, y0, x1, y1 = _sorted_pair(x0, y0, x1, y1)
    x1, y1, x2, y2 = _sorted_pair(x1, y1, x2, y2)
    x0, y0, x1, y1 = _sorted_pair(x0, y0, x1, y1)
    first = np.minimum(np.maximum(np.ceil(y0), 0), height).astype(np.intp)
    last = np.minimum(np.maximum(np.ceil(y2), 0), height).astype(np.intp)
    # A horizontal edge crosses no scan line, so that its slope is never used; any finite number will do.
    long = (x2 - x0) / np.maximum(y2 - y0, 1e-9)
    high = (x1 - x0) / np.maximum(y1 - y0, 1e-9)
    low = (x2 - x1) / np.maximum(y2 - y1, 1e-9)
    triangle, line = _repeat_ranges(last - first)
    row = first[triangle] + line
    y = row.astype(x0.dtype)
    upper = y < y1[triangle]
    at_long = (x0 - y0 * long)[triangle] + y * long[triangle]
    at_short = np.where(upper, (x0 - y0 * high)[triangle], (x1 - y1 * low)[triangle])
    at_short += y * np.where(upper, high[triangle], low[triangle])
    left = np.minimum(np.maximum(np.ceil(np.minimum(at_long, at_short)), 0), width).astype(np.intp)
    right = np.minimum(np.maximum(np.ceil(np.maximum(at_long, at_short)), 0), width).astype(np.intp)
    span, step = _repeat_ranges(right - left)
    return triangle[span], left[span] + step, row[span]


def rasterise(
    screen_V2: np.ndarray,
    depth_V: np.ndarray,
    triangles_T3: np.ndarray,
    two_sided_T: np.ndarray,
    height: int,
    width: int,
) -> Visible:
    """Draw triangles with a depth buffer.

    Args:
        screen_V2: (V, 2) projected vertices, (x, y) px, pixel-centre convention.
        depth_V: (V,) larger is nearer.
        triangles_T3: (T, 3) vertex indices, counter-clockwise from outside in a y-up view.
        two_sided_T: (T,) bool; False culls a triangle seen from behind.
        height: Rows of the image.
        width: Columns of the image.
    """
    xs, ys = np.ascontiguousarray(screen_V2[:, 0]), np.ascontiguousarray(screen_V2[:, 1])
    a, b, c = triangles_T3.T.astype(np.intp)
    xa, ya = xs[a], ys[a]
    area = (xs[b] - xa) * (ys[c] - ya) - (xs[c] - xa) * (ys[b] - ya)
    # Rows of an image run downwards, so that outward-facing triangles have negative area. What is thinner than 0.01
    # covers no pixel centre worth the ill-conditioned plane through it.
    kept = np.flatnonzero((area < -0.01) | (two_sided_T & (area > 0.01)))
    corners = a[kept], b[kept], c[kept]
    x_3T, y_3T, z_3T = ([values[corner] for corner in corners] for values in (xs, ys, depth_V))
    triangle, column, row = _scan(x_3T, y_3T, height, width)
    inverse = 1 / area[kept]
    x0, y0, z0 = x_3T[0], y_3T[0], z_3T[0]
    x1, x2, y1, y2, z1, z2 = (v[k] - v[0] for v in (x_3T, y_3T, z_3T) for k in (1, 2))
    slope_x = (z1 * y2 - z2 * y1) * inverse
    slope_y = (x1 * z2 - x2 * z1) * inverse
    base = z0 - slope_x * x0 - slope_y * y0
    depth = (
        base[triangle]
        + slope_x[triangle] * column.astype(np.float32)
        + slope_y[triangle] * row.astype(np.float32)
    )
    low = float(depth_V.min())
    quantum = 65000 / max(float(depth_V.max()) - low, 1e-6)
    # 16-bit keys sort in linear time; of equal indices on the left of an assignment the last one stays.
    keys = np.minimum(np.maximum((depth - low) * quantum + 100, 0), 65535).astype(np.uint16)
    order = np.argsort(keys, kind="stable")
    nearest = np.full(height * width, -1, dtype=np.intp)
    nearest[(row * width + column)[order]] = order
    pixels = np.flatnonzero(nearest >= 0)
    winner = nearest[pixels]
    seen = triangle[winner]
    px, py = column[winner] - x0[seen], row[winner] - y0[seen]
    second = px * (y2 * inverse)[seen] - py * (x2 * inverse)[seen]
    third = py * (x1 * inverse)[seen] - px * (y1 * inverse)[seen]
    weights = np.stack([1 - second - third, second, third]).astype(np.float32)
    depth_HW = np.full(height * width, -np.inf, dtype=np.float32)
    depth_HW[pixels] = depth[winner]
    return Visible(pixels, kept[seen], weights, depth_HW.reshape(height, width))


def interpolate(values_CV: np.ndarray, triangles_T3: np.ndarray, visible: Visible) -> np.ndarray:
    """(C, P) values of the visible pixels, from values (C, V) at the vertices.

    Channels come first here and in everything painted: numpy is several times slower where the last axis is short.
    """
    corners = [np.ascontiguousarray(column)[visible.triangles_P] for column in triangles_T3.T]
    pixels = np.empty((len(values_CV), len(visible.pixels_P)), dtype=np.float32)
    for channel, values in zip(pixels, values_CV, strict=True):
        np.multiply(values[corners[0]], visible.weights_3P[0], out=channel)
        channel += values[corners[1]] * visible.weights_3P[1]
        channel += values[corners[2]] * visible.weights_3P[2]
    return pixels
