"""Images beside .pts files, of any markup."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.face import Unusable
from pipeline.datasets.pts import PtsFolder
from pipeline.errors import ConfigError, DataError

POINTS = np.array([[4.0, 5.0], [8.5, 5.0], [6.0, 9.25]])


@pytest.fixture
def root(tmp_path):
    (tmp_path / "three.yaml").write_text("name: three\nnum_landmarks: 3\n")
    lines = "\n".join(f"{x} {y}" for x, y in POINTS)
    for path in ("b.jpg", "more/even more/a.png", ".hidden/c.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 12)).save(tmp_path / path)
        (tmp_path / path).with_suffix(".pts").write_text(f"version: 1\nn_points: 3\n{{\n{lines}\n}}\n")
    Image.new("RGB", (16, 12)).save(tmp_path / "not annotated yet.jpg")
    return tmp_path


def test_folders_are_searched_and_images_without_annotation_passed_over(root, sound):
    reader = PtsFolder(str(root), str(root / "three.yaml"))
    records = sound(reader.records())
    assert [record.name for record in records] == ["b.jpg", "more/even more/a.png"]
    np.testing.assert_array_equal(records[1].load().annotation.points_K2, POINTS - 1)
    assert (reader.markup.name, records[0].source) == ("three", "pts")


@pytest.mark.parametrize(("first", "off"), [(0.0, 0.0), (0.5, -0.5), (1.0, -1.0)])
def test_where_coordinates_begin(root, first, off, sound):
    record, _ = sound(PtsFolder(str(root), str(root / "three.yaml"), first=first).records())
    np.testing.assert_array_equal(record.annotation.points_K2, POINTS + off)


def test_what_is_wrong_is_named(root):
    (root / "b.jpg").unlink()
    (root / "more/even more/a.pts").write_text("{\n1 2\n}\n")
    missing, short = PtsFolder(str(root), str(root / "three.yaml")).records()
    assert isinstance(missing, Unusable)
    assert "b.pts: no image b.jpg" in missing.problem
    assert "1 points, expected 3" in short.problem
    (root / "empty").mkdir()
    with pytest.raises(DataError, match="no .pts files, neither here nor below"):
        PtsFolder(str(root / "empty"), "ibug68").records()
    with pytest.raises(ConfigError, match="no markup 'ibug99'"):
        PtsFolder(str(root), "ibug99")
