"""Verification: nothing to say about sound sets, and one finding for each way to spoil them."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline.shards.manifest import Manifest, dump_manifest, load_manifest
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.verify import verify
from pipeline.shards.write import write_shard


def texture(seed):
    """An image unlike any other; toy faces look too much alike to tell copies from."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (10, 10, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((80, 80), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def originals(make_toy_set, tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    sets = {}
    for seed, (name, count) in enumerate(
        {"train": 60, "validation": 20, "test": 20, "unlabelled": 90}.items()
    ):
        role = "unlabelled" if name == "unlabelled" else "labelled"
        split = "train" if name == "unlabelled" else name
        sets[name] = make_toy_set(root / name, count, seed=seed, role=role, split=split, name=name)
        rewrite(sets[name], lambda index, jpg, meta, seed=seed: (texture((seed, index)), meta))
    return sets


@pytest.fixture
def sets(originals, tmp_path):
    """Copies that a test may spoil."""
    return {name: shutil.copytree(path, tmp_path / name) for name, path in originals.items()}


def rewrite(folder, change):
    """Pass every sample's (index, jpg, JSON) through ``change`` and write tars and manifest that agree."""
    manifest = load_manifest(str(folder))
    shards, index = [], 0
    for entry in manifest.shards:
        samples = []
        for sample in iterate_shard(str(folder / entry.path)):
            jpg, meta = change(index, sample.jpg, json.loads(sample.json))
            samples.append(RawSample(meta["key"], jpg, json.dumps(meta).encode()))
            index += 1
        shards.append(write_shard(str(folder / entry.path), samples))
    changed = Manifest.model_validate(manifest.model_dump() | {"shards": [s.model_dump() for s in shards]})
    (folder / "manifest.json").write_text(dump_manifest(changed))


def edit_manifest(folder, **changes):
    raw = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(raw | changes))


def messages(report):
    return [str(finding) for finding in report.findings]


def one(report, *parts):
    """Exactly one error, with these parts in it."""
    assert len(report.errors) == 1, messages(report)
    for part in parts:
        assert part in str(report.errors[0])


def test_sound_sets(sets):
    report = verify([str(path) for path in sets.values()])
    assert report.findings == [], messages(report)
    assert report.ok
    assert len(report.manifests) == 4


def test_missing_manifest_and_shard(sets, tmp_path):
    (sets["train"] / "shard-000001.tar").unlink()
    report = verify([str(sets["train"]), str(tmp_path / "nowhere")])
    assert [f.file.rsplit("/", 2)[-2:] for f in report.errors] == [
        ["nowhere", "manifest.json"],
        ["train", "shard-000001.tar"],
    ]
    assert not report.ok


def test_truncated_tar(sets):
    path = sets["train"] / "shard-000002.tar"
    path.write_bytes(path.read_bytes()[:20_000])
    report = verify([str(sets["train"])])
    assert any("shard-000002.tar: 20000 bytes, the manifest says" in m for m in messages(report))
    assert any("shard-000002.tar: the tar is truncated in member" in m for m in messages(report))


def test_altered_byte(sets):
    path = sets["train"] / "shard-000000.tar"
    content = bytearray(path.read_bytes())
    content[content.index(b'"image": "') + 10] ^= 1
    path.write_bytes(bytes(content))
    one(verify([str(sets["train"])]), "sha256 differs", "shard-000000.tar")


def test_wrong_count(sets):
    raw = json.loads((sets["train"] / "manifest.json").read_text())
    raw["shards"][0]["samples"] += 1
    edit_manifest(sets["train"], shards=raw["shards"], samples=raw["samples"] + 1)
    one(verify([str(sets["train"])]), "16 samples, the manifest says 17")


def test_wrong_number_of_landmarks(sets):
    def change(index, jpg, meta):
        return jpg, meta | ({"points": meta["points"][:67]} if index == 3 else {})

    rewrite(sets["train"], change)
    one(verify([str(sets["train"])]), "67 landmarks, markup 'ibug68' has 68")


def test_json_that_is_none_of_ours(sets):
    rewrite(sets["train"], lambda i, jpg, meta: (jpg, meta | ({"sice": 1} if i == 3 else {})))
    one(verify([str(sets["train"])]), ".json, field 'sice'")


def test_landmarks_in_other_units(sets):
    def change(index, jpg, meta):
        return jpg, meta | {"points": [[x / 160, y / 160] for x, y in meta["points"]]}

    rewrite(sets["validation"], change)
    report = verify([str(sets["validation"])])
    assert any("the landmarks span 0.0" in m and "in pixels" in m for m in messages(report))


def test_landmarks_outside_the_image_and_the_square(sets):
    def change(index, jpg, meta):
        return jpg, meta | {"points": [[x + 60, y] for x, y in meta["points"]]}

    rewrite(sets["train"], change)
    report = verify([str(sets["train"])])
    assert report.ok  # 300-W itself has faces at the border: worth knowing, not fatal
    assert any("lie outside their image" in m for m in messages(report))
    assert any("lie outside the stored square" in m for m in messages(report))


def unknown(hidden):
    """A change that takes the positions of some landmarks away, by the sample's number."""

    def change(index, jpg, meta):
        points, visible = list(meta["points"]), list(meta["visible"])
        for landmark in hidden(index):
            points[landmark], visible[landmark] = None, False
        return jpg, meta | {"points": points, "visible": visible}

    return change


def test_landmarks_without_a_position_are_sound(sets):
    """None of the set's faces has two of them, every other face hides the half of its jaw that others show."""
    rewrite(sets["train"], unknown(lambda index: [27, 30, *(range(9) if index % 2 else ())]))
    report = verify([str(sets["train"])])
    assert not report.errors, messages(report)
    # What is wrong with the others is still seen.
    order = list(range(68))
    order[16], order[8] = order[8], order[16]

    def shuffle(index, jpg, meta):
        points = [meta["points"][k] for k in order]
        return jpg, meta | {"points": points, "visible": [point is not None for point in points]}

    rewrite(sets["train"], shuffle)
    assert any("mirrored, landmark" in m for m in messages(verify([str(sets["train"])])))


def test_landmarks_that_are_visible_nowhere(sets):
    def change(index, jpg, meta):
        return jpg, meta | {"points": [None, *meta["points"][1:]]}

    rewrite(sets["train"], change)
    assert any(
        "landmark 0 is visible and has no position" in m for m in messages(verify([str(sets["train"])]))
    )
    rewrite(sets["train"], unknown(lambda index: range(68)))
    assert any("no landmark has a position" in m for m in messages(verify([str(sets["train"])])))


def test_mirrored_images_without_mirrored_order(sets):
    def change(index, jpg, meta):
        return jpg, meta | {"points": [[meta["width"] - 1 - x, y] for x, y in meta["points"]]}

    rewrite(sets["train"], change)
    report = verify([str(sets["train"])])
    assert any("in 100% of the faces the left eye lies right of the right one" in m for m in messages(report))


def test_landmarks_in_another_order(sets):
    order = list(range(68))
    order[0], order[8] = order[8], order[0]  # ear and chin

    rewrite(sets["train"], lambda i, jpg, meta: (jpg, meta | {"points": [meta["points"][k] for k in order]}))
    one(verify([str(sets["train"])]), "mirrored, landmark", "flip_pairs")


def test_damaged_and_wrongly_sized_images(sets):
    def change(index, jpg, meta):
        if index == 1:
            return jpg[: len(jpg) // 3], meta
        if index == 2:
            buffer = io.BytesIO()
            Image.new("RGB", (40, 40)).save(buffer, "JPEG")
            return buffer.getvalue(), meta
        return jpg, meta

    rewrite(sets["train"], change)
    report = verify([str(sets["train"])])
    assert len(report.errors) == 2
    assert any(".jpg cannot be decoded" in m for m in messages(report))
    assert any(".jpg is 40×40 px" in m for m in messages(report))


def test_landmarks_in_an_unlabelled_set(sets):
    def change(index, jpg, meta):
        return jpg, meta | ({"points": [[1.0, 2.0]]} if index == 0 else {})

    rewrite(sets["unlabelled"], change)
    one(verify([str(sets["unlabelled"])]), "landmarks in an unlabelled set")


def test_same_images_in_training_and_test(sets, originals):
    shutil.rmtree(sets["test"])
    shutil.copytree(originals["train"], sets["test"])
    edit_manifest(sets["test"], split="test")
    report = verify([str(sets["train"]), str(sets["test"])])
    for what in (
        "60 keys",
        "60 images (by name)",
        "60 images (same bytes)",
        "60 faces are near-duplicates",
    ):
        assert any(what in m for m in messages(report)), what


def test_near_duplicates_under_other_names(sets, originals):
    stolen = [s.jpg for s in iterate_shard(str(originals["test"] / "shard-000000.tar"))][:2]

    def change(index, jpg, meta):
        if index >= 2:
            return jpg, meta
        image = Image.open(io.BytesIO(stolen[index])).resize((64, 64)).resize((80, 80))
        buffer = io.BytesIO()
        Image.fromarray((np.asarray(image) * 0.9).astype(np.uint8)).save(buffer, "JPEG", quality=80)
        return buffer.getvalue(), meta

    rewrite(sets["unlabelled"], change)
    assert verify([str(sets["unlabelled"]), str(sets["test"])], near_duplicates=False).ok
    one(
        verify([str(sets["unlabelled"]), str(sets["test"])]),
        "2 faces are near-duplicates",
        "drop_near_duplicates_of",
    )


def test_streams(sets):
    train = [str(sets["train"])]
    assert verify(train, streams=4).findings == []
    report = verify(train, streams=8)
    assert report.ok
    assert "4 shards for 8 streams" in messages(report)[0]
    one(verify(train, streams=64), "60 samples for 64 streams")


def test_sets_that_do_not_fit_together(sets):
    edit_manifest(sets["test"], num_landmarks=5)
    report = verify([str(sets["train"]), str(sets["test"])])
    assert any("verify and train with sets of one markup" in m for m in messages(report))


def test_repeated_key(sets):
    first = next(iterate_shard(str(sets["train"] / "shard-000000.tar"))).key
    rewrite(sets["train"], lambda i, jpg, meta: (jpg, meta | ({"key": first} if i == 20 else {})))
    one(verify([str(sets["train"])]), f"the key '{first}' occurs more than once")
