"""Shards in columns: whatever a manifest says of them, listed or not, it says the same."""

from __future__ import annotations

import hashlib
import json
import pickle

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.errors import ManifestError
from pipeline.shards import shard_list
from pipeline.shards.identity import content_hash
from pipeline.shards.manifest import CropPolicy, Manifest, dump_manifest, load_manifest
from pipeline.shards.shard_list import ShardEntry, ShardList

ENTRIES = tuple(
    ShardEntry(
        path=f"faces-{number:06d}.tar",
        samples=3 + number % 2,
        bytes=1000 + number,
        sha256=hashlib.sha256(bytes([number])).hexdigest(),
    )
    for number in range(6)
)


def manifest(entries=ENTRIES) -> Manifest:
    return Manifest(
        name="faces",
        role="unlabelled",
        split="train",
        markup=None,
        num_landmarks=0,
        crop=CropPolicy(points="detector", side_factor=3.0, size=80, jpeg_quality=95),
        samples=sum(entry.samples for entry in entries),
        shards=entries,
        source={"reader": "none"},
        config_hash="0" * 64,
    )


@pytest.fixture
def small(monkeypatch):
    """Five shards are many."""
    monkeypatch.setattr(shard_list, "LISTED", 4)


def test_it_is_the_sequence_of_its_entries():
    made = ShardList.of(ENTRIES)
    assert tuple(made) == ENTRIES
    assert len(made) == 6
    assert (made[0], made[-1], made[1:3]) == (ENTRIES[0], ENTRIES[-1], ENTRIES[1:3])
    assert (made.path(4), made.sha256(4)) == (ENTRIES[4].path, ENTRIES[4].sha256)
    assert made.samples_S.tolist() == [3, 4, 3, 4, 3, 4]
    with pytest.raises(IndexError):
        made[6]
    assert made == ShardList.of(ENTRIES) == pickle.loads(pickle.dumps(made))
    assert made != ShardList.of(ENTRIES[:5])
    assert made != ShardList.of([*ENTRIES[:5], ENTRIES[5].model_copy(update={"path": "other.tar"})])


def test_few_shards_are_listed_and_many_are_columns(small, tmp_path):
    few, many = manifest(ENTRIES[:4]), manifest()
    assert json.loads(dump_manifest(few))["shards"] == [entry.model_dump() for entry in ENTRIES[:4]]
    text = dump_manifest(many)
    raw = json.loads(text)
    assert (raw["version"], raw["shards"]["prefix"], raw["shards"]["digits"]) == (2, "faces-", 6)
    assert len(text.splitlines()) < 30
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    loaded = load_manifest(str(tmp_path))
    assert loaded == many
    assert tuple(loaded.shards) == ENTRIES
    assert dump_manifest(loaded) == text


def test_shards_that_are_not_numbered_are_listed_however_many(small):
    gap = [*ENTRIES[:2], *ENTRIES[3:]]
    assert isinstance(json.loads(dump_manifest(manifest(gap)))["shards"], list)


def test_a_set_is_the_same_listed_or_in_columns(monkeypatch, tmp_path):
    listed = manifest()
    content = {key: json.loads(dump_manifest(listed)).get(key) for key in ("role", "split", "markup", "crop")}
    content |= {"markup_definition": None, "num_landmarks": 0, "samples": 21}
    content["shards"] = [entry.model_dump() for entry in ENTRIES]
    expected = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert content_hash(listed) == expected
    monkeypatch.setattr(shard_list, "LISTED", 4)
    (tmp_path / "manifest.json").write_text(dump_manifest(listed), encoding="utf-8")
    assert content_hash(load_manifest(str(tmp_path))) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": [3, 4]}, "2 shards have samples, 6 bytes, 6 a sha256"),
        ({"samples": [3, 4, 3, 0, 3, 4]}, "entry 3 is 0, outside 1 … 1099511627776"),
        ({"samples": [3, 4, 3, "4", 3, 4]}, "whole numbers"),
        ({"samples": [3, 4, 3, True, 3, 4]}, "whole numbers"),
        ({"bytes": [*[1] * 5, 2**70]}, "entry 5 is 1180591620717411303424, outside 1"),
        ({"prefix": "../../etc/"}, "prefix"),
        ({"digits": 0}, "digits"),
        ({"sha256": "0" * 383 + "g"}, "sha256"),
        ({"sha256": "0" * 383}, "5.98438 a sha256"),
        ({"colour": 1}, "colour"),
    ],
)
def test_what_is_wrong_with_columns_is_named(small, tmp_path, change, message):
    raw = json.loads(dump_manifest(manifest()))
    raw["shards"] |= change
    (tmp_path / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(ManifestError, match=r"field 'shards.*prepare the set again") as caught:
        load_manifest(str(tmp_path))
    assert message in str(caught.value)


def test_entries_are_checked_one_by_one():
    with pytest.raises(ValidationError, match=r"shards\.1\.path"):
        Manifest.model_validate(
            json.loads(dump_manifest(manifest()))
            | {"shards": [ENTRIES[0].model_dump(), ENTRIES[1].model_dump() | {"path": "../x.tar"}]}
        )
    with pytest.raises(ValidationError, match="at least 1|greater than or equal"):
        ShardEntry(path="a.tar", samples=0, bytes=1, sha256="0" * 64)
    assert np.array_equal(ShardList.of([]).samples_S, [])
