"""Images and their .pts files."""

from __future__ import annotations

import pytest

from pipeline.datasets._gather import Gathering
from pipeline.datasets._pairs import pair, subfolders
from pipeline.errors import DataError


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def paired(folder, **given):
    """(pairs, {what was left out: why})."""
    faces = Gathering("s")
    pairs = [(image.name, pts.name) for image, pts in pair(folder, folder, "set", faces, **given)]
    return pairs, {record.name: record.problem for record in faces.listed()}


def test_pairs_are_sorted_and_hidden_files_ignored(tmp_path):
    touch(
        tmp_path,
        "b.pts",
        "b.JPG",
        "a.PTS",
        "a.png",
        "c.jpeg",
        "c.pts",
        "d.bmp",
        "d.pts",
        "._a.jpg",
        "readme.txt",
    )
    pairs, left_out = paired(tmp_path)
    assert pairs == [("a.png", "a.PTS"), ("b.JPG", "b.pts"), ("c.jpeg", "c.pts"), ("d.bmp", "d.pts")]
    assert not left_out


def test_what_does_not_pair_is_left_out_by_name(tmp_path):
    touch(tmp_path, "b.png")
    with pytest.raises(DataError, match=r"no \.pts files"):
        paired(tmp_path)
    touch(tmp_path, "a.pts", "c.pts", "c.png", "d.pts", "d.jpg", "d.png")
    pairs, left_out = paired(tmp_path, remedy="do this")
    assert pairs == [("c.png", "c.pts")]
    assert left_out.keys() == {"set/a.pts", "set/b.png", "set/d.jpg", "set/d.png"}
    assert "no image a.jpg or a.png in" in left_out["set/a.pts"]
    assert left_out["set/a.pts"].endswith("; do this")
    assert "b.png: no annotation b.pts in" in left_out["set/b.png"]
    assert "d.png: shares its annotation or image with d.jpg" in left_out["set/d.jpg"]
    assert "set/b.png" not in paired(tmp_path, spare_images=True)[1]


def test_subsets(tmp_path):
    touch(tmp_path / "a" / "b")
    assert subfolders(tmp_path, ["a/b", "a"], "folders") == ["a/b", "a"]
    for subsets, message in (
        ("a", "field 'subsets' is 'a': give a list of folders"),
        ([], "give a list of folders"),
        (["a", "a"], "'a' is given twice"),
        (["../x"], "'../x' leads out of"),
        (["/etc"], "'/etc' leads out of"),
        (["c"], "c: no such folder"),
    ):
        with pytest.raises(DataError, match=message):
            subfolders(tmp_path, subsets, "folders")
