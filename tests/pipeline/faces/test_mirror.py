"""Flip pairs against the symmetry of faces."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.faces.mirror import mirrored_distances, wrong_partner
from pipeline.markup import load_markup

RIGHT = load_markup("ibug68").flip_permutation


@pytest.fixture(scope="module")
def faces():
    """(40, 68, 2) landmarks of rendered faces in all poses."""
    return np.stack(
        [record.load().annotation.points_K2 for record in SyntheticFaces(40, seed=5, size=64).records()]
    )


def swapped(*pairs):
    permutation = RIGHT.copy()
    for a, b in pairs:
        permutation[a], permutation[b] = b, a
    return permutation


def test_the_right_pairs_pass_in_any_number_of_faces(faces):
    assert wrong_partner(faces, RIGHT) is None
    for count in (1, 2, 5, 12, 20):
        for start in range(0, 40 - count, 4):
            assert wrong_partner(faces[start : start + count], RIGHT) is None


def test_an_outer_eye_corner_paired_with_the_other_eyes_inner_one(faces):
    wrong = wrong_partner(faces, swapped((36, 42), (39, 45)))
    assert wrong is not None
    assert "landmark 36 lies on 45, not on its partner 42" in wrong
    assert "not on its partner 4" in (wrong_partner(faces[:12], swapped((36, 42), (39, 45))) or "")


@pytest.mark.parametrize("count", [1, 5, 40])
def test_no_pairs_at_all(faces, count):
    frontal = np.argsort(mirrored_distances(faces)[1])[:count]
    assert wrong_partner(faces[frontal], np.arange(68)) is not None


def test_what_faces_hide_hides_no_mistake(faces):
    hidden = faces.copy()
    hidden[np.random.default_rng(0).random(hidden.shape[:2]) < 0.3] = np.nan
    assert wrong_partner(hidden, RIGHT) is None
    assert wrong_partner(hidden, swapped((36, 42), (39, 45))) is not None


def test_nothing_is_said_of_what_is_no_face(faces):
    assert wrong_partner(np.random.default_rng(0).uniform(0, 60, (20, 68, 2)), RIGHT) is None
    assert wrong_partner(np.full((3, 68, 2), np.nan), RIGHT) is None
    assert wrong_partner(np.zeros((0, 68, 2)), RIGHT) is None


def test_the_mirror_image_is_laid_back_whatever_the_roll(faces):
    """A shape made symmetric lies on itself to the last digit, turned or not."""
    face = faces[np.argmin(mirrored_distances(faces)[1])]
    centred = face - face.mean(axis=0)
    symmetric = (centred + (centred * (-1, 1))[RIGHT]) / 2
    for degrees in (0, 25):
        turn = np.array([[np.cos(np.radians(degrees)), -np.sin(np.radians(degrees))],
                         [np.sin(np.radians(degrees)), np.cos(np.radians(degrees))]])  # fmt: skip
        distance_NKK, fit_N = mirrored_distances((symmetric @ turn.T)[None] * 7 + 30)
        np.testing.assert_allclose(distance_NKK[0][np.arange(68), RIGHT], 0, atol=1e-6)
        assert fit_N[0] < 1e-6
