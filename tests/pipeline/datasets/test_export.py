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
    record = export.face("a.png", 17, FACE, "entry 3", None)
    assert (record.name, record.source, record.upright, record.annotation) == ("a.png#17", "mine", True, FACE)
    assert record.load().image_HW3.shape == (4, 4, 3)


def test_what_is_missing_is_named_with_its_entry_and_remedy(export, tmp_path):
    with pytest.raises(DataError, match=r"entry 3: .*b\.png: No such file.*; correct 'root'"):
        export.face("b.png", 1, FACE, "entry 3", None)
    with pytest.raises(DataError, match=r"entry 3: '\.\./a\.png' leads out"):
        export.image("../a.png", "entry 3")
    with pytest.raises(DataError, match="set 'path' to a list"):
        Faces(str(tmp_path / "none"), str(tmp_path), "mtfl5", source="mine", upright=True)
