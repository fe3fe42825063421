"""What surrounds the face: neck and clothes, ears, long hair, headwear, glasses; all as small meshes in the head's centimetres."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np

from pipeline.datasets.synthetic.head import HEAD_CENTRE_Z, curve, grid_normals, grid_triangles


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


@lru_cache(maxsize=1)
def body() -> Mesh:
    """Neck, shoulders and chest, upright; ``surface`` is the position."""
    y = np.array([-4, -7, -10, -12.5, -14.3, -15.5, -16.5, -17.6, -19, -21, -25, -31])
    half = curve(
        y,
        (
            (-31, 23),
            (-25, 22.5),
            (-21, 21),
            (-19, 18.5),
            (-17.6, 14),
            (-16.5, 10),
            (-15.5, 7.6),
            (-14.3, 6.2),
            (-12, 5.5),
            (-4, 5.4),
        ),
    )
    depth = curve(y, ((-31, 11), (-21, 9), (-17, 6.8), (-14.3, 5.6), (-4, 5.3)))
    centre = curve(y, ((-31, -10), (-18, -10.5), (-14, -9.6), (-4, -8.8)))
    azimuth = np.radians(np.linspace(-180, 180, 32, endpoint=False))
    x = half[:, None] * np.sin(azimuth)
    z = centre[:, None] + depth[:, None] * np.cos(azimuth)
    # The two neck muscles, running from behind the ears to the pit of the throat.
    towards = np.clip((-y - 6) / 9, 0, 1)[:, None]
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
    wide = 0.8 + 0.28 * y  # narrower at the lobe
    radial = np.sqrt(y**2 + z**2)
    bowl = np.clip(1 - (radial / 0.62) ** 2, 0, 1)
    shape = np.stack([0.62 * x * (1 - 0.85 * bowl * (x > 0)), 3.05 * y, 1.75 * z * wide], -1)
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


def curtain(length: float, width: float, opening: float, wave: float, top: float, material: Material) -> Mesh:
    """Hair or a scarf falling beside and behind the head.

    Args:
        length: Height of the lower end, cm (negative).
        width: Distance from the head, cm.
        opening: Azimuth of the front edge, degrees.
        wave: Amplitude of waves, cm.
        top: Height of the upper end, cm.
        material: HAIR or FABRIC.
    """
    y = np.linspace(top, length, 14)
    fall = (top - y) / (top + 12)
    azimuth = np.radians(np.linspace(opening, 360 - opening, 30))
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
    grid = np.stack([-x, np.broadcast_to(y[:, None], x.shape), z], -1)
    surface = np.stack(
        [
            np.broadcast_to(azimuth[None] * 8, x.shape),
            np.broadcast_to(y[:, None], x.shape),
            fall[:, None] + 0 * x,
        ],
        -1,
    )
    return grid_mesh(grid, material, closed=False, two_sided=True, surface_RC3=surface)


def brim(length: float, height: float, side: float) -> Mesh:
    """The peak of a cap, pointing forwards."""
    across, out = np.meshgrid(np.linspace(-1, 1, 15), np.linspace(0, 1, 5))
    angle = across * np.radians(66)
    x = np.sin(angle) * (7.6 + 0.2 * out)
    z = HEAD_CENTRE_Z + 9.6 * np.cos(angle) ** 0.8 + out * length * np.cos(angle * 0.9)
    y = height - 1.1 * across**2 * (0.4 + out) - 0.9 * out**1.5
    rotated = np.stack([x * np.cos(side) + 0 * z, y, z], -1)
    return grid_mesh(rotated, Material.FABRIC, closed=False, two_sided=True)


def glasses(
    half_width: float, half_height: float, square: float, rim: float, drop: float, *, dark: bool
) -> Mesh:
    """A pair of spectacles resting on the nose.

    Args:
        half_width: Half the width of a lens, cm.
        half_height: Half its height, cm.
        square: Exponent of its outline; 2 is round.
        rim: Thickness of the rim, cm.
        drop: How far it slid down the nose, cm.
        dark: Whether the lenses hide the eyes.
    """
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    ca, sa = np.cos(angle), np.sin(angle)
    outline = np.stack(
        [
            np.sign(ca) * np.abs(ca) ** (2 / square) * half_width,
            np.sign(sa) * np.abs(sa) ** (2 / square) * half_height,
        ],
        -1,
    )
    centre = half_width + 1.0

    def place(flat: np.ndarray) -> np.ndarray:
        x = flat[..., 0]
        z = 1.25 - 0.028 * np.abs(x) ** 2.2 + 0.25 * drop
        return np.stack([x, flat[..., 1] - 0.15 - drop, z], -1)

    parts: list[Mesh] = []
    for sign in (-1, 1):
        turned = outline if sign > 0 else outline[::-1] * np.array([1, 1])
        ring = np.stack(
            [turned * (1 - 0.02), turned + rim * turned / np.linalg.norm(turned, axis=1, keepdims=True)]
        )
        parts.append(
            grid_mesh(
                place(ring + np.array([sign * centre, 0.0])), Material.FRAME, closed=True, two_sided=True
            )
        )
        hinge = place(np.array([sign * (centre + half_width), 0.35 * half_height]))
        along = np.linspace(0, 1, 6)[:, None, None]
        tip = np.array([sign * 7.75, 0.2, -8.6])
        arm = hinge + (tip - hinge) * along + np.array([[0, 0.28, 0], [0, -0.28, 0]]) * (0.5 + rim)
        arm[..., 0] += sign * 0.9 * np.sin(np.pi * along[..., 0]) + sign * 0.1
        parts.append(grid_mesh(arm.transpose(1, 0, 2), Material.FRAME, closed=False, two_sided=True))
    bridge = np.linspace(-1, 1, 7)
    arch = np.stack([bridge * 1.15, 0.25 + 0.25 * (1 - bridge**2)], -1)
    parts.append(
        grid_mesh(
            place(np.stack([arch + np.array([0, rim * 0.6]), arch - np.array([0, rim * 0.6])])),
            Material.FRAME,
            closed=False,
            two_sided=True,
        )
    )
    frame = join(parts, Material.FRAME)
    return frame if not dark else frame


def lenses(half_width: float, half_height: float, square: float, drop: float) -> Mesh:
    """The dark lenses of ``glasses`` with the same measures."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ca, sa = np.cos(angle), np.sin(angle)
    outline = np.stack(
        [
            np.sign(ca) * np.abs(ca) ** (2 / square) * half_width,
            np.sign(sa) * np.abs(sa) ** (2 / square) * half_height,
        ],
        -1,
    )
    parts = []
    for sign in (-1, 1):
        disc = outline[None] * np.array([0.02, 0.6, 1.0])[:, None, None]
        flat = disc + np.array([sign * (half_width + 1.0), 0.0])
        z = 1.22 - 0.028 * np.abs(flat[..., 0]) ** 2.2 + 0.25 * drop
        grid = np.stack([flat[..., 0], flat[..., 1] - 0.15 - drop, z], -1)
        parts.append(
            grid_mesh(
                grid,
                Material.LENS,
                closed=True,
                two_sided=True,
                surface_RC3=np.concatenate([disc, z[..., None]], -1),
            )
        )
    return join(parts, Material.LENS)
