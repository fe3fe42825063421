"""Images and their .pts files."""

from __future__ import annotations

import pytest

from pipeline.datasets._pairs import pair, subfolders
from pipeline.errors import DataError


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_pairs_are_sorted_and_hidden_files_ignored(tmp_path):
    touch(tmp_path, "b.pts", "b.JPG", "a.pts", "a.png", "._a.jpg", "readme.txt")
    assert [(p.name, a.name) for p, a in pair(tmp_path, tmp_path)] == [("a.png", "a.pts"), ("b.JPG", "b.pts")]


def test_what_does_not_pair_is_named(tmp_path):
    touch(tmp_path, "b.png")
    with pytest.raises(DataError, match=r"no \.pts files"):
        pair(tmp_path, tmp_path)
    touch(tmp_path, "a.pts")
    with pytest.raises(DataError, match=r"a\.pts: no image a\.jpg or a\.png in .*; do this"):
        pair(tmp_path, tmp_path, remedy="do this")
    touch(tmp_path, "a.png")
    with pytest.raises(DataError, match=r"b\.png: no annotation b\.pts in"):
        pair(tmp_path, tmp_path)
    assert len(pair(tmp_path, tmp_path, spare_images=True)) == 1
    touch(tmp_path, "a.jpg")
    with pytest.raises(DataError, match=r"a\.png: shares its annotation with a\.jpg"):
        pair(tmp_path, tmp_path)


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
