"""Layouts of folders, recognised."""

from __future__ import annotations

import pytest

from pipeline.datasets.sniff.folders import face_synthetics, pts
from pipeline.errors import DataError


def write(path, count, closing="}"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + "1 2\n" * count + closing)


def test_pts(tmp_path):
    assert pts(tmp_path) is None
    write(tmp_path / "x" / "broken.pts", 3, "")
    with pytest.raises(DataError, match="truncated"):
        pts(tmp_path)
    for number, count in enumerate((7, 7, 39)):
        write(tmp_path / "y" / f"{number}.PTS", count)
    found = pts(tmp_path)
    assert (found.num_landmarks, found.root, found.spec("m")) == (
        7, tmp_path, {"reader": "pts", "root": str(tmp_path), "markup": "m"}
    )  # fmt: skip
    assert "1 with 39 of those looked at are left out" in found.remarks[0]


def test_face_synthetics(tmp_path):
    assert face_synthetics(tmp_path) is None
    (tmp_path / "000001_ldmks.txt").write_text("1 2\n")
    found = face_synthetics(tmp_path)
    assert found.spec("whatever") == {"reader": "face_synthetics", "root": str(tmp_path)}
    assert (found.markup, found.num_landmarks) == ("faces70", 70)
