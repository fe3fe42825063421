import numpy as np
import pytest

from pipeline.synthetic.parts import Material, body, ears, ellipsoid, glasses, join, lenses


def test_ellipsoid_has_the_volume_of_an_ellipsoid():
    mesh = ellipsoid((2.0, 3.0, 1.5), Material.OBJECT, rows=60, columns=80)
    a, b, c = (mesh.vertices_V3[mesh.triangles_T3[:, k]].astype(float) for k in range(3))
    volume = np.einsum("tk,tk->", a, np.cross(b, c)) / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 2 * 3 * 1.5, rel=0.01)


def test_normals_of_a_sphere_are_its_radii():
    mesh = ellipsoid((2.0, 2.0, 2.0), Material.OBJECT, rows=31, columns=40)
    inner = np.abs(mesh.vertices_V3[:, 1]) < 1.8
    np.testing.assert_allclose(mesh.normals_V3[inner], mesh.vertices_V3[inner] / 2, atol=0.02)


@pytest.mark.parametrize(
    "mesh", [ears(), body(), glasses(2.5, 1.9, 3.0, 0.2, 0.2), lenses(2.5, 1.9, 3.0, 0.2)]
)
def test_parts_are_symmetric(mesh):
    low, high = mesh.vertices_V3.min(axis=0), mesh.vertices_V3.max(axis=0)
    assert low[0] == pytest.approx(-high[0], abs=0.15)


def test_lenses_fill_their_frame_and_lie_before_the_eyes():
    disc, frame = lenses(2.5, 1.9, 3.0, 0.2).vertices_V3, glasses(2.5, 1.9, 3.0, 0.2, 0.2).vertices_V3
    assert disc[:, 2].min() > -0.5  # the eyes' outer corners lie at −1.5 and further back
    assert frame[:, 0].max() > disc[:, 0].max()
    assert disc[:, 1].max() == pytest.approx(1.9 - 0.35, abs=0.05)


def test_joined_meshes_keep_their_triangles():
    one, two = ellipsoid((1, 1, 1), Material.HAND), ellipsoid((2, 1, 1), Material.HAND)
    both = join([one, two], Material.HAND)
    np.testing.assert_array_equal(
        both.vertices_V3[both.triangles_T3],
        np.concatenate([one.vertices_V3[one.triangles_T3], two.vertices_V3[two.triangles_T3]]),
    )
