"""Surfaces that are grids of vertices, row by row: their triangles and normals."""

from __future__ import annotations

import numpy as np


def grid_triangles(rows: int, columns: int, *, closed: bool) -> np.ndarray:
    """Two counter-clockwise triangles per cell of a grid whose rows go down and columns to the right.

    Args:
        rows: Vertices from top to bottom.
        columns: Vertices from left to right.
        closed: Whether the last column joins the first.

    Returns:
        (T, 3) int32.
    """
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    top_left, top_right = i * columns + j, i * columns + (j + 1) % columns
    low_left, low_right = top_left + columns, top_right + columns
    return (
        np.stack(
            [np.stack([top_left, low_left, low_right], -1), np.stack([top_left, low_right, top_right], -1)], 2
        )
        .reshape(-1, 3)
        .astype(np.int32)
    )


def grid_normals(vertices_V3: np.ndarray, rows: int, columns: int, *, closed: bool) -> np.ndarray:
    """(V, 3) unit normals of a grid by central differences, outwards for counter-clockwise triangles."""
    grid = vertices_V3.reshape(rows, columns, 3)
    along = np.empty_like(grid)
    along[:, 1:-1] = grid[:, 2:] - grid[:, :-2]
    if closed:
        along[:, 0], along[:, -1] = grid[:, 1] - grid[:, -1], grid[:, 0] - grid[:, -2]
    else:
        along[:, 0], along[:, -1] = grid[:, 1] - grid[:, 0], grid[:, -1] - grid[:, -2]
    up = np.empty_like(grid)
    up[1:-1] = grid[:-2] - grid[2:]
    up[0], up[-1] = grid[0] - grid[1], grid[-2] - grid[-1]
    ax, ay, az = along[..., 0], along[..., 1], along[..., 2]
    bx, by, bz = up[..., 0], up[..., 1], up[..., 2]
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    scale = 1 / np.sqrt(nx * nx + ny * ny + nz * nz + 1e-12)
    normals = np.stack([nx * scale, ny * scale, nz * scale], -1)
    return np.asarray(normals.reshape(-1, 3))
