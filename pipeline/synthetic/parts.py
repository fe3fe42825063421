"""The surroundings of a face: neck, clothes, ears, long hair, headwear, glasses; small meshes in the head's centimetres."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from pipeline.synthetic.grid import grid_normals, grid_triangles
from pipeline.synthetic.head import HEAD_CENTRE_Z, curve


class Material(IntEnum):
    """How a triangle is painted."""

    HEAD = 0
    EAR = 1
    BODY = 2
    HAIR = 3
    FRAME = 4
    LENS = 5
    HAND = 6
    OBJECT = 7
    FABRIC = 8


@dataclass(frozen=True)
class Mesh:
    """Triangles of one material.

    Attributes:
        vertices_V3: Positions, cm.
        normals_V3: Unit normals, outwards.
        surface_V3: Surface coordinates, in which the material is painted; their meaning is the material's.
        triangles_T3: Vertex indices.
        material: How it is painted.
        two_sided: Whether its inside can be seen.
    """

    vertices_V3: np.ndarray
    normals_V3: np.ndarray
    surface_V3: np.ndarray
    triangles_T3: np.ndarray
    material: Material
    two_sided: bool = False

    def moved(
        self, rotation_33: np.ndarray, shift_3: np.ndarray | tuple[float, float, float], scale: float = 1.0
    ) -> Mesh:
        """The mesh scaled, rotated about the origin, then shifted."""
        return Mesh(
            (self.vertices_V3 * scale) @ rotation_33.T + np.asarray(shift_3, dtype=np.float32),
            self.normals_V3 @ rotation_33.T,
            self.surface_V3,
            self.triangles_T3,
            self.material,
            self.two_sided,
        )


def join(meshes: list[Mesh], material: Material) -> Mesh:
    """One mesh of several, painted alike."""
    offsets = np.cumsum([0, *(len(m.vertices_V3) for m in meshes)])
    return Mesh(
        np.concatenate([m.vertices_V3 for m in meshes]),
        np.concatenate([m.normals_V3 for m in meshes]),
        np.concatenate([m.surface_V3 for m in meshes]),
        np.concatenate([m.triangles_T3 + o for m, o in zip(meshes, offsets, strict=False)]).astype(np.int32),
        material,
        any(m.two_sided for m in meshes),
    )


def grid_mesh(
    vertices_RC3: np.ndarray,
    material: Material,
    *,
    closed: bool,
    two_sided: bool = False,
    surface_RC3: np.ndarray | None = None,
) -> Mesh:
    """A mesh from a grid of positions, rows downwards and columns to the right seen from outside."""
    rows, columns = vertices_RC3.shape[:2]
    vertices = np.ascontiguousarray(vertices_RC3.reshape(-1, 3), dtype=np.float32)
    surface = vertices if surface_RC3 is None else surface_RC3.reshape(-1, 3).astype(np.float32)
    return Mesh(
        vertices,
        grid_normals(vertices, rows, columns, closed=closed).astype(np.float32),
        surface,
        grid_triangles(rows, columns, closed=closed),
        material,
        two_sided,
    )


def ellipsoid(
    radii: tuple[float, float, float], material: Material, rows: int = 9, columns: int = 12
) -> Mesh:
    """An ellipsoid about the origin, poles up and down."""
    polar, azimuth = np.meshgrid(
        np.linspace(0.03, np.pi - 0.03, rows),
        np.linspace(-np.pi, np.pi, columns, endpoint=False),
        indexing="ij",
    )
    unit = np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1)
    return grid_mesh(unit * np.asarray(radii), material, closed=True)


def tube(
    radius_R: np.ndarray, height_R: np.ndarray, material: Material, columns: int = 12, squash: float = 1.0
) -> Mesh:
    """A surface of revolution about y; ``squash`` flattens it along z."""
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    x = radius_R[:, None] * np.sin(azimuth)
    z = radius_R[:, None] * np.cos(azimuth) * squash
    return grid_mesh(np.stack([x, np.broadcast_to(height_R[:, None], x.shape), z], -1), material, closed=True)


_BODY_WIDTH = (
    (-31.0, 23.0), (-24.0, 22.5), (-20.0, 20.5), (-17.5, 17.0), (-16.0, 12.5), (-14.8, 8.8), (-13.8, 6.7),
    (-12.8, 5.7), (-11.0, 5.2), (-4.0, 5.1),
)  # fmt: skip


@lru_cache(maxsize=1)
def body() -> Mesh:
    """Neck, shoulders and chest, upright; ``surface`` is the position."""
    y = np.array([-4, -7, -9.5, -11.5, -12.8, -13.8, -14.8, -16, -17.5, -20, -24, -31])
    half = curve(y, _BODY_WIDTH)
    depth = curve(y, ((-31.0, 11.0), (-20.0, 9.0), (-16.0, 6.8), (-13.0, 5.4), (-4.0, 5.0)))
    centre = curve(y, ((-31.0, -10.0), (-17.0, -10.5), (-12.0, -9.3), (-4.0, -8.8)))
    azimuth = np.radians(np.linspace(-180, 180, 32, endpoint=False))
    x = half[:, None] * np.sin(azimuth)
    z = centre[:, None] + depth[:, None] * np.cos(azimuth)
    # The two neck muscles, running from behind the ears to the pit of the throat.
    towards = np.clip((-y - 5) / 8, 0, 1)[:, None]
    muscle = np.exp(-(((np.abs(azimuth) - (1.15 - 0.95 * towards)) / 0.22) ** 2)) * (towards < 0.99)
    scale = 1 + 0.05 * muscle
    return grid_mesh(
        np.stack([x * scale, np.broadcast_to(y[:, None], x.shape), z * scale + 0.0 * x], -1),
        Material.BODY,
        closed=True,
    ).moved(np.eye(3, dtype=np.float32), (0, 0, 0))


@lru_cache(maxsize=1)
def ears() -> Mesh:
    """Both ears; ``surface`` is the place within the ear, −1…1."""
    polar, azimuth = np.meshgrid(
        np.linspace(0.02, np.pi - 0.02, 13), np.linspace(-np.pi, np.pi, 16, endpoint=False), indexing="ij"
    )
    unit = np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1)
    x, y, z = unit[..., 0], unit[..., 1], unit[..., 2]
    wide = 0.86 + 0.2 * y  # narrower at the lobe
    radial = np.sqrt(y**2 + z**2)
    bowl = np.clip(1 - (radial / 0.62) ** 2, 0, 1)
    shape = np.stack([0.62 * x * (1 - 0.85 * bowl * (x > 0)), 2.8 * y, 1.65 * z * wide], -1)
    angle = np.radians(24)
    flare = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    tilt = np.radians(-10)
    lean = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    right = shape @ (flare @ lean).T + np.array([7.75, -1.3, -9.3])
    left = right[:, ::-1] * np.array([-1, 1, 1])
    pair = [
        grid_mesh(v, Material.EAR, closed=True, surface_RC3=s)
        for v, s in ((right, unit), (left, unit[:, ::-1]))
    ]
    return join(pair, Material.EAR)


def curtain(
    length: float,
    width: float,
    opening: float,
    wave: float,
    top: float,
    material: Material,
    ragged: float = 1.0,
) -> Mesh:
    """Hair or a scarf falling beside and behind the head.

    Args:
        length: Height of the lower end, cm (negative).
        width: Distance from the head, cm.
        opening: Azimuth of the front edge, degrees.
        wave: Amplitude of waves, cm.
        top: Height of the upper end, cm.
        material: HAIR or FABRIC.
        ragged: How far locks differ in length, cm.
    """
    y = np.linspace(top, length, 14)
    fall = (top - y) / (top + 12)
    azimuth = np.radians(np.linspace(opening, 360 - opening, 44))
    # Locks end at different heights.
    locks = 0.8 * np.sin(5 * azimuth) + 0.7 * np.sin(17 * azimuth + 1) + 0.4 * np.sin(31 * azimuth)
    height = y[:, None] + locks * ((top - y) / (top - length))[:, None] ** 3 * ragged
    half = curve(
        y, ((-30, 8.6), (-14, 8.2), (-6, 7.8), (0, 7.7), (4, 7.75), (7, 6.9), (9, 5.6), (11, 2.6))
    ) + width * np.clip(0.35 + fall, 0, 1.1)
    depth = (
        curve(y, ((-30, 7.4), (-14, 7.6), (-6, 9.0), (0, 10.2), (4, 10.3), (7, 9.2), (9, 7.5), (11, 3.4)))
        + 0.7 * width
    )
    strand = wave * np.sin(2.2 * y[:, None] + 3 * azimuth[None]) * np.clip(fall[:, None], 0, 1)
    x = -(half[:, None] + strand) * np.sin(azimuth)[None]
    z = HEAD_CENTRE_Z + (depth[:, None] + strand) * np.cos(azimuth)[None] * np.where(
        np.cos(azimuth) > 0, 0.75, 1.0
    )
    grid = np.stack([-x, height, z], -1)
    surface = np.stack(
        [
            np.broadcast_to(azimuth[None] * 8, x.shape),
            np.broadcast_to(y[:, None], x.shape),
            fall[:, None] + 0 * x,
        ],
        -1,
    )
    return grid_mesh(grid, material, closed=False, two_sided=True, surface_RC3=surface)


def brim(length: float, height: float) -> Mesh:
    """The peak of a cap, pointing forwards."""
    across, out = np.meshgrid(np.linspace(-1, 1, 15), np.linspace(0, 1, 5))
    angle = across * np.radians(66)
    x = np.sin(angle) * (7.5 + 0.5 * out)
    z = HEAD_CENTRE_Z + 9.0 * np.cos(angle) ** 0.8 + out * length * (1 - np.abs(across) ** 2.5)
    y = height - 1.1 * across**2 * (0.4 + out) - 0.9 * out**1.5
    return grid_mesh(np.stack([x, y, z], -1), Material.FABRIC, closed=False, two_sided=True)


def _lens_outline(half_width: float, half_height: float, square: float, points: int) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    ca, sa = np.cos(angle), np.sin(angle)
    x = np.sign(ca) * np.abs(ca) ** (2 / square) * half_width
    return np.stack([x, np.sign(sa) * np.abs(sa) ** (2 / square) * half_height], -1)


def _on_nose(flat: np.ndarray, drop: float) -> np.ndarray:
    """(…, 3) places of (…, 2) points of a pair of glasses: bent around the face, slid down by ``drop`` cm."""
    z = 1.25 - 0.028 * np.abs(flat[..., 0]) ** 2.2 + 0.25 * drop
    return np.stack([flat[..., 0], flat[..., 1] - 0.15 - drop, z], -1)


def glasses(half_width: float, half_height: float, square: float, rim: float, drop: float) -> Mesh:
    """The frame of a pair of glasses resting on the nose.

    Args:
        half_width: Half the width of a lens, cm.
        half_height: Half its height, cm.
        square: Exponent of its outline; 2 is round.
        rim: Thickness of the rim, cm.
        drop: How far it slid down the nose, cm.
    """
    outline, centre = _lens_outline(half_width, half_height, square, 28), half_width + 1.0
    outer = outline + rim * outline / np.linalg.norm(outline, axis=1, keepdims=True)
    parts: list[Mesh] = []
    for sign in (-1.0, 1.0):
        ring = np.stack([outline * 0.98, outer]) + np.array([sign * centre, 0.0])
        parts.append(grid_mesh(_on_nose(ring, drop), Material.FRAME, closed=True, two_sided=True))
        hinge = _on_nose(np.array([sign * (centre + half_width), 0.35 * half_height]), drop)
        along = np.linspace(0, 1, 6)[:, None, None]
        tip = np.array([sign * 7.75, 0.2, -8.6])
        arm = hinge + (tip - hinge) * along + np.array([[0, 0.28, 0], [0, -0.28, 0]]) * (0.5 + rim)
        arm[..., 0] += sign * (0.9 * np.sin(np.pi * along[..., 0]) + 0.1)  # clear of the temples
        parts.append(grid_mesh(arm.transpose(1, 0, 2), Material.FRAME, closed=False, two_sided=True))
    bridge = np.linspace(-1, 1, 7)
    arch = np.stack([bridge * 1.15, 0.25 + 0.25 * (1 - bridge**2)], -1)
    thickness = np.array([0, rim * 0.6])
    strip = np.stack([arch + thickness, arch - thickness])
    parts.append(grid_mesh(_on_nose(strip, drop), Material.FRAME, closed=False, two_sided=True))
    return join(parts, Material.FRAME)


def lenses(half_width: float, half_height: float, square: float, drop: float) -> Mesh:
    """The dark lenses of ``glasses`` with the same measures; ``surface`` is the place within the lens, cm."""
    disc = _lens_outline(half_width, half_height, square, 24) * np.array([0.02, 0.6, 1.0])[:, None, None]
    parts = []
    for sign in (-1.0, 1.0):
        grid = _on_nose(disc + np.array([sign * (half_width + 1.0), 0.0]), drop)
        surface = np.concatenate([disc, grid[..., 2:]], -1)
        parts.append(grid_mesh(grid, Material.LENS, closed=True, two_sided=True, surface_RC3=surface))
    return join(parts, Material.LENS)
