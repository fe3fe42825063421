"""Choosing the meshes a face wears and what is held before it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pipeline.synthetic.occluders import GESTURES, hand, thing, turn
from pipeline.synthetic.parameters import FaceParameters, Occluder
from pipeline.synthetic.parts import Material, Mesh, body, brim, curtain, ears, glasses, lenses


@lru_cache(maxsize=4)
def _peak(height: float) -> Mesh:
    return brim(5.6, height)


def dress(parameters: FaceParameters) -> tuple[list[Mesh], list[Mesh]]:
    """Meshes that move with the head, and meshes that move with the body; both in head axes, cm."""
    hair, wear = parameters.hair, parameters.wear
    on_head: list[Mesh] = []
    if wear.headwear != "scarf":
        on_head.append(ears())
    if wear.headwear == "scarf":
        on_head.append(curtain(-17.0, 0.9, 58.0, 0.1, 10.6, Material.FABRIC, ragged=0.0))
    elif hair.style in {"long", "bob"}:
        on_head.append(
            curtain(hair.length, 0.35 + 0.6 * hair.thickness, hair.opening, hair.wave, 9.0, Material.HAIR)
        )
    if wear.headwear == "cap":
        on_head.append(_peak(5.2))
    if wear.glasses:
        half_width, half_height, square, rim, drop = wear.lens
        on_head.append(glasses(half_width, half_height, square, rim, drop))
        if wear.glasses == "sunglasses":
            on_head.append(lenses(half_width, half_height, square, drop))
    return on_head, [body()]


def hold(occluder: Occluder) -> Mesh:
    """The hand or object, placed before the face in camera axes, cm."""
    mesh = hand(occluder.kind) if occluder.kind in GESTURES else thing(occluder.kind)
    rotation = turn(2, occluder.turns[2]) @ turn(0, occluder.turns[0]) @ turn(1, occluder.turns[1])
    if occluder.mirrored:
        flip = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)
        mesh = Mesh(
            mesh.vertices_V3 @ flip,
            mesh.normals_V3 @ flip,
            mesh.surface_V3,
            mesh.triangles_T3[:, ::-1],
            mesh.material,
        )
    return mesh.moved(rotation, occluder.place, occluder.scale)
