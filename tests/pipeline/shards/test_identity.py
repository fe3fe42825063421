"""A set is known by its samples: wherever it lies, whatever its manifest says beside them."""

from __future__ import annotations

import shutil

from pipeline.shards.identity import SetIdentity, content_hash
from pipeline.shards.manifest import load_manifest


def test_a_set_is_the_same_wherever_it_lies_and_whatever_is_said_of_it(toy_sets, tmp_path):
    train = load_manifest(str(toy_sets["train"]))
    moved = load_manifest(str(shutil.copytree(toy_sets["train"], tmp_path / "moved")))
    said = {
        "name": "other",
        "dataset": "elsewhere",
        "source": {"reader": "toy", "root": "/mnt/b"},
        "config_hash": "1" * 12,
    }
    assert content_hash(train) == content_hash(moved) == content_hash(train.model_copy(update=said))
    hashes = {content_hash(load_manifest(str(folder))) for folder in toy_sets.values()}
    assert len(hashes) == 4
    # What a training sees of it does make another set of it.
    for change in ({"split": "test"}, {"crop": train.crop.model_copy(update={"size": 96})}):
        assert content_hash(train.model_copy(update=change)) != content_hash(train)


def test_the_same_images_prepared_in_another_way_are_the_same_faces(toy_sets):
    train, validation = (load_manifest(str(toy_sets[name])) for name in ("train", "validation"))
    known = SetIdentity.of(train)
    assert known.same_faces(train)
    assert not known.same_faces(validation)
    source = {"records_sha256": "a" * 64}
    listed = train.model_copy(update={"source": source})
    larger = listed.model_copy(update={"crop": train.crop.model_copy(update={"size": 256})})
    assert SetIdentity.of(listed).same_faces(larger)
    assert not SetIdentity.of(listed).same_faces(validation)
