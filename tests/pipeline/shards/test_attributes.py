"""Attributes that a set does not have are refused by its first readable face."""

from __future__ import annotations

import shutil

import pytest

from pipeline.errors import ConfigError
from pipeline.shards.attributes import check_attributes, labels_of
from pipeline.shards.manifest import load_manifest


def test_numbers_and_booleans():
    attributes = {"a": 1, "b": False, "c": 0.5, "d": "1"}
    assert labels_of(attributes, ["b", "a"]) == [False, True]
    for name in ("c", "d"):
        with pytest.raises(ValueError, match=f"'{name}' is .*expected 0 or 1"):
            labels_of(attributes, [name])


def test_names_the_attributes_there_are(toy_sets):
    folder = str(toy_sets["train"])
    manifest = load_manifest(folder)
    check_attributes([], folder, manifest)
    check_attributes(["odd", "rare"], folder, manifest)
    with pytest.raises(ConfigError, match=r"focal_attributes: .*no attribute 'pose' \(it has: odd, rare\)"):
        check_attributes(["odd", "pose"], folder, manifest)


def test_a_damaged_first_tar_does_not_hide_it(toy_sets, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(toy_sets["train"], folder)
    manifest = load_manifest(str(folder))
    (folder / manifest.shards[0].path).write_bytes(b"no tar" * 100)
    with pytest.raises(ConfigError, match="no attribute 'pose'"):
        check_attributes(["pose"], str(folder), manifest)
