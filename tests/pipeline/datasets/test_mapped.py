"""Faces of one data set in another's markup."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.face import FaceReader, FaceRecord
from pipeline.datasets.open import open_reader
from pipeline.errors import ConfigError


@pytest.fixture
def table(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    points = ", ".join(f"[{i}, {2 * i}]" if i != 96 else "null" for i in range(98))
    visible = ", ".join("false" if i in (0, 96) else "true" for i in range(98))
    row = f'{{"path": "a.png", "points": [{points}], "visible": [{visible}], "box": [1, 2, 3, 4]}}'
    (tmp_path / "t.jsonl").write_text(row)
    return {"reader": "table", "path": str(tmp_path / "t.jsonl"), "root": str(tmp_path), "markup": "wflw98"}


def test_wflw_in_300w_s_markup(table):
    reader = open_reader({"reader": "mapped", "of": table, "markup": "ibug68"})
    assert isinstance(reader, FaceReader)
    assert reader.markup.name == "ibug68"
    (record,) = reader.records()
    assert isinstance(record, FaceRecord)
    annotation = pickle.loads(pickle.dumps(record)).load().annotation
    np.testing.assert_array_equal(annotation.points_K2[[0, 1, 16, 67], 0], [0, 2, 32, 95])
    assert annotation.visible_K.tolist() == [False] + [True] * 67
    assert annotation.box == (1, 2, 3, 4)


def test_unknown_landmarks_stay_unknown(table):
    (record,) = open_reader({"reader": "mapped", "of": table, "markup": "mtfl5"}).records()
    annotation = record.load().annotation
    assert np.isnan(annotation.points_K2[0]).all()
    np.testing.assert_array_equal(annotation.points_K2[1:, 0], [97, 54, 76, 82])
    (other,) = open_reader({"reader": "mapped", "of": table, "markup": "aflw19"}).records()
    assert other.fingerprint() != record.fingerprint()


def test_what_cannot_be_mapped(table, tmp_path):
    with pytest.raises(ConfigError, match="reader 'folder' has no landmarks to map"):
        open_reader(
            {"reader": "mapped", "of": {"reader": "folder", "root": str(tmp_path)}, "markup": "mtfl5"}
        )
    with pytest.raises(ConfigError, match="markup 'wflw98' maps to .*, not to 'menpo39'"):
        open_reader({"reader": "mapped", "of": table, "markup": "menpo39"})
