"""What readers of annotation tools' exports share."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets._export import Export
from pipeline.datasets.face import Annotation
from pipeline.errors import DataError

FACE = Annotation(np.zeros((5, 2)), np.ones(5, dtype=bool))


class Faces(Export):
    """An export that says nothing of its own."""

    kind = "a list"


@pytest.fixture
def export(tmp_path):
    (tmp_path / "faces.list").touch()
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    return Faces(str(tmp_path / "faces.list"), str(tmp_path), "mtfl5", source="mine", upright=True)


def test_a_face_is_called_by_its_image_and_number_and_carries_what_the_reader_was_given(export):
    record = export.face("a.png", 17, FACE, "entry 3")
    assert (record.name, record.source, record.upright, record.annotation) == ("a.png#17", "mine", True, FACE)
    assert record.load().image_HW3.shape == (4, 4, 3)


def test_what_is_missing_is_named_with_its_entry_and_remedy(export, tmp_path):
    with pytest.raises(DataError, match=r"entry 3: .*b\.png: No such file.*; correct 'root'"):
        export.face("b.png", 1, FACE, "entry 3")
    with pytest.raises(DataError, match=r"entry 3: '\.\./a\.png' leads out"):
        export.image("../a.png", "entry 3")
    with pytest.raises(DataError, match="set 'path' to a list"):
        Faces(str(tmp_path / "none"), str(tmp_path), "mtfl5", source="mine", upright=True)


def test_faces_come_by_name_and_there_is_one_at_least(export):
    faces = [export.face("a.png", number, FACE, "entry") for number in (2, 1)]
    assert [face.name for face in export.ordered(faces, "faces")] == ["a.png#1", "a.png#2"]
    with pytest.raises(DataError, match=r"faces\.list: no faces with points in it"):
        export.ordered([], "faces with points")
    with pytest.raises(DataError, match="the name 'a.png#1' is taken"):
        export.ordered([faces[1], faces[1]], "faces")
