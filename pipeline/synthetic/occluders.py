"""Hands and objects held in front of the face, as meshes in the camera's axes, cm."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pipeline.synthetic.parts import Material, Mesh, ellipsoid, grid_mesh, join, tube

GESTURES = ("open", "relaxed", "fist", "point")
OBJECTS = ("mug", "phone", "microphone", "ball", "book", "bottle")


def turn(axis: int, degrees: float) -> np.ndarray:
    """(3, 3) float32 rotation about an axis (0 x, 1 y, 2 z), counter-clockwise seen from its positive end."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    rotation = np.eye(3, dtype=np.float32)
    rotation[i, i] = rotation[j, j] = c
    rotation[i, j], rotation[j, i] = -s, s
    return rotation


def _bone(start: np.ndarray, end: np.ndarray, radius: tuple[float, float]) -> Mesh:
    """A capsule whose radius tapers from start to end."""
    length = float(np.linalg.norm(end - start))
    t = np.array([-0.98, -0.7, 0.0, 1.0, 1.7, 1.98])
    a, b = radius
    swell = np.array([0.15, 0.72, 1.0, 1.0, 0.72, 0.15])
    r = np.where(t <= 0, a, b) * swell
    h = np.where(t <= 0, t * a, length + (t - 1) * b)
    shape = tube(r[::-1], h[::-1], Material.HAND, columns=9)
    y = (end - start) / length
    x = np.cross(y, [0.0, 0.0, 1.0])
    x = x / np.linalg.norm(x) if np.linalg.norm(x) > 1e-3 else np.array([1.0, 0, 0])
    rotation = np.stack([x, y, np.cross(x, y)], -1).astype(np.float32)
    return shape.moved(rotation, start)


@lru_cache(maxsize=len(GESTURES))
def hand(gesture: str) -> Mesh:
    """A right hand seen from its back, fingers up, wrist at y = −9, with its forearm below."""
    spread, curl = {"open": (1.0, 0.1), "relaxed": (0.35, 0.5), "fist": (0.15, 2.0), "point": (0.2, 1.9)}[
        gesture
    ]
    parts = [
        ellipsoid((4.0, 5.0, 1.5), Material.HAND, 11, 14).moved(np.eye(3, dtype=np.float32), (0, -4.4, 0))
    ]
    for k, (x, length) in enumerate(((-3.0, 7.6), (-1.05, 8.6), (0.95, 8.0), (2.8, 6.3))):
        bend = 0.1 if gesture == "point" and k == 0 else curl
        aside = (k - 1.5) * 0.13 * spread
        joint = np.array([x, -0.6 - 0.25 * (k - 1.2) ** 2, 0.2])
        pitch = 0.15 + bend * 0.5
        for share, r0, r1 in ((0.46, 1.02, 0.92), (0.31, 0.92, 0.82), (0.23, 0.82, 0.66)):
            direction = np.array([np.sin(aside), np.cos(pitch) * np.cos(aside), -np.sin(pitch)])
            tip = joint + direction * length * share
            parts.append(_bone(joint, tip, (r0 * 0.95, r1 * 0.95)))
            joint, pitch = tip, pitch + bend * 0.75
    root, knuckle = np.array([-2.9, -6.2, 0.0]), np.array([-5.0, -3.4, -0.4 - 0.4 * curl])
    tip = knuckle + np.array([-0.5 - 0.9 * spread + 1.2 * curl, 3.0, -0.8 * curl])
    parts += [_bone(root, knuckle, (1.35, 1.05)), _bone(knuckle, tip, (1.05, 0.8))]
    arm = tube(
        np.array([2.5, 2.5, 2.7, 3.2, 4.0]),
        np.array([-7.5, -9.0, -12.0, -18.0, -40.0]),
        Material.HAND,
        12,
        0.75,
    )
    return join([*parts, arm], Material.HAND)


def _box(half: tuple[float, float, float]) -> Mesh:
    rows = np.array([1, 0.97, -0.97, -1]) * half[1]
    angle = np.linspace(-np.pi, np.pi, 20, endpoint=False) + np.pi / 20
    x = np.clip(np.sin(angle) * 1.45, -1, 1) * half[0]
    z = np.clip(np.cos(angle) * 1.45, -1, 1) * half[2]
    scale = np.array([0.01, 1, 1, 0.01])[:, None]
    grid = np.stack([x * scale, np.broadcast_to(rows[:, None], (4, 20)), z * scale], -1)
    return grid_mesh(grid, Material.OBJECT, closed=True)


@lru_cache(maxsize=len(OBJECTS))
def thing(kind: str) -> Mesh:
    """An everyday object about its own centre, upright."""
    if kind == "mug":
        return tube(
            np.array([3.2, 3.9, 4.0, 4.0, 3.8, 0.1]),
            np.array([4.6, 4.7, 4.5, -4.4, -4.7, -4.7]),
            Material.OBJECT,
            18,
        )
    if kind == "bottle":
        r = np.array([0.1, 1.3, 1.3, 1.5, 3.2, 3.3, 3.3, 0.1])
        return tube(r, np.array([9, 9, 6.4, 5.6, 3.0, 2.0, -9, -9.2]), Material.OBJECT, 16)
    if kind == "microphone":
        head = ellipsoid((2.6, 2.8, 2.6), Material.OBJECT, 10, 14)
        handle = tube(
            np.array([2.0, 1.7, 1.3, 1.2]), np.array([-1.5, -3.0, -9.0, -18.0]), Material.OBJECT, 12
        )
        return join([head, handle], Material.OBJECT)
    if kind == "ball":
        return ellipsoid((4.2, 4.2, 4.2), Material.OBJECT, 13, 18)
    return _box((4.0, 7.8, 0.5) if kind == "phone" else (8.0, 11.0, 0.9))
