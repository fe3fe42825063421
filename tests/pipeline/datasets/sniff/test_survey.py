"""What records are like."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets.face import Annotation, Unusable
from pipeline.datasets.image import stored_file
from pipeline.datasets.sniff.survey import looks_like, survey
from pipeline.errors import DataError
from pipeline.markup import load_markup

POINTS = np.array([[4.0, 5.0], [24.0, 5.0], [np.nan, np.nan], [10.0, 15.0]])


def record(path, name, box=None):
    return stored_file(path, source="s", name=name, annotation=Annotation(POINTS, np.ones(4, bool), box))


def test_counts_sizes_and_problems(images):
    a, b = images / "pictures/a.jpg", images / "pictures/b.png"
    b.write_bytes(b"no image")
    bad = Unusable("s", "c", "bad_annotation", "c: bad")
    seen = survey([record(a, "a#1", (1, 2, 3, 4)), record(a, "a#2"), record(b, "b#1"), bad], "x.json")
    assert (seen.count, seen.images, seen.most_in_image, seen.unusable) == (3, 2, 2, ("c: bad",))
    assert seen.fill == 0.5  # 20 of 40 px
    assert seen.extents().tolist() == [20.0] * 3
    np.testing.assert_array_equal(np.isfinite(seen.boxes_N4).all(axis=1), [True, False, False])
    with pytest.raises(DataError, match="x.json: none of its 1 annotations can be used\n  c: bad"):
        survey([bad], "x.json")


def test_faces_are_told_by_how_their_landmarks_lie():
    markup = load_markup("mtfl5")
    face_52 = np.array([[40.0, 40], [80, 40], [60, 60], [45, 80], [75, 80]])
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    assert looks_like(markup, np.stack([face_52, face_52 @ turn.T, face_52 + 3]))
    assert not looks_like(markup, face_52[None, [1, 0, 2, 3, 4]])  # the eyes swapped
    assert not looks_like(markup, face_52[None, [0, 1, 3, 2, 4]])
    assert not looks_like(markup, np.full((1, 5, 2), np.nan))
    assert not looks_like(load_markup("menpo39"), np.zeros((1, 39, 2)))
    assert not looks_like(markup, np.zeros((1, 6, 2)))
