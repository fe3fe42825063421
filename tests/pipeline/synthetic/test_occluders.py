import numpy as np
import pytest

from pipeline.synthetic.occluders import GESTURES, OBJECTS, hand, thing, turn
from pipeline.synthetic.parameters import Occluder
from pipeline.synthetic.wardrobe import hold


def outward_share(mesh):
    """Area share of triangles whose winding agrees with their vertices' normals."""
    a, b, c = (mesh.vertices_V3[mesh.triangles_T3[:, k]].astype(float) for k in range(3))
    cross = np.cross(b - a, c - a)
    agree = (cross * mesh.normals_V3[mesh.triangles_T3].mean(axis=1)).sum(axis=1) > 0
    area = np.linalg.norm(cross, axis=1)
    return area[agree].sum() / area.sum()


def signed_volume(mesh):
    a, b, c = (mesh.vertices_V3[mesh.triangles_T3[:, k]].astype(float) for k in range(3))
    return np.einsum("tk,tk->", a, np.cross(b, c)) / 6


@pytest.mark.parametrize("mesh", [*map(hand, GESTURES), *map(thing, OBJECTS)], ids=[*GESTURES, *OBJECTS])
def test_meshes_are_wound_outwards(mesh):
    assert outward_share(mesh) > 0.95
    assert signed_volume(mesh) > 0
    assert np.isfinite(mesh.vertices_V3).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_held_hand_stays_wound_outwards_and_goes_where_it_is_put(mirrored):
    placed = hold(Occluder("open", (3.0, -4.0, 6.0), (10, 20, 30), 0.9, (0.5, 0.5, 0.5), mirrored))
    assert outward_share(placed) > 0.95
    rotation = turn(2, 30) @ turn(0, 10) @ turn(1, 20)
    there = (placed.vertices_V3 - np.array([3, -4, 6])) @ rotation / 0.9
    np.testing.assert_allclose(there * [-1 if mirrored else 1, 1, 1], hand("open").vertices_V3, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turns_are_counter_clockwise_rotations(axis):
    rotation = turn(axis, 90).astype(float)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    after = np.eye(3)[(axis + 1) % 3]
    np.testing.assert_allclose(rotation @ after, np.eye(3)[(axis + 2) % 3], atol=1e-6)
