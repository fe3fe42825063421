"""The statistics behind the checks of a set, on shapes that are right and wrong by construction."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.shards.checks import SetContent, check_file, check_sample, check_set, check_shard
from pipeline.shards.findings import Findings
from pipeline.shards.manifest import Manifest, SampleMeta, load_manifest
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.shard_list import ShardEntry
from pipeline.shards.write import encode_meta


@pytest.fixture
def content(toy_sets):
    folder = toy_sets["train"]
    manifest = load_manifest(str(folder))
    seen, findings = SetContent(), Findings()
    for entry in manifest.shards:
        check_shard(str(folder / entry.path), entry, manifest, seen, findings)
    assert findings.all == []
    return manifest, seen


def test_content_is_what_the_tars_hold(content, toy_sets):
    manifest, seen = content
    keys = [s.key for e in manifest.shards for s in iterate_shard(str(toy_sets["train"] / e.path))]
    assert seen.keys == keys
    assert len(seen.shapes) == len(seen.images) == len(seen.hashes) == manifest.samples
    assert (seen.outside, seen.cut) == (0, 0)


def errors(manifest, seen):
    findings = Findings()
    check_set("m", manifest, seen, findings)
    return [f.message for f in findings.all if f.severity == "error"]


def test_right_shapes_pass_and_swapped_landmarks_do_not(content):
    manifest, seen = content
    assert errors(manifest, seen) == []
    order = np.arange(68)  # nose root and chin map to themselves; exchanged with an ear they do not
    order[[0, 8]] = order[[8, 0]]
    seen.shapes = [shape[order] for shape in seen.shapes]
    assert len(errors(manifest, seen)) == 1


def test_few_profiles_are_no_error(content):
    manifest, seen = content
    mirrored = [np.stack([1 - s[:, 0], s[:, 1]], axis=1) for s in seen.shapes]
    seen.shapes = mirrored[:2] + seen.shapes[2:]
    assert errors(manifest, seen) == []
    seen.shapes = mirrored[:9] + seen.shapes[9:]
    assert any("15% of the faces the left eye" in m for m in errors(manifest, seen))


def test_unknown_markup(content):
    manifest, seen = content
    unknown = Manifest.model_validate(manifest.model_dump() | {"markup": "nine"})
    assert "no markup 'nine'" in errors(unknown, seen)[0]
    wrong = Manifest.model_validate(manifest.model_dump() | {"num_landmarks": 5})
    assert errors(wrong, seen) == ["5 landmarks, markup 'ibug68' has 68"]


def test_copies_within_a_set_are_mentioned(content):
    manifest, seen = content
    seen.hashes[1] = seen.hashes[0]
    findings = Findings()
    check_set("m", manifest, seen, findings)
    assert [(f.severity, f.message) for f in findings.all] == [
        ("warning", "1 stored images are exact copies of others")
    ]


def test_file_against_its_entry(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(b"abc")
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180's test vector
    findings = Findings()
    assert check_file(str(path), ShardEntry(path="a.tar", samples=1, bytes=3, sha256=sha), findings)
    assert findings.all == []
    check_file(str(path), ShardEntry(path="a.tar", samples=1, bytes=3, sha256="0" * 64), findings)
    check_file(str(path), ShardEntry(path="a.tar", samples=1, bytes=4, sha256=sha), findings)
    assert not check_file(
        str(tmp_path / "b.tar"), ShardEntry(path="b", samples=1, bytes=1, sha256=sha), findings
    )
    assert [
        "sha256" in f.message or "bytes" in f.message or "no such" in f.message for f in findings.all
    ] == [True] * 3


def _sample(manifest, **changes):
    meta = {"key": "k-1", "source": "s", "image": "a.jpg", "width": 160, "height": 160, "left": 10.0, "top": 6.0,
            "side": 120.0, "size": manifest.crop.size, "points": [(20.0 + k, 30.0 + k) for k in range(68)],
            "visible": [True] * 68}  # fmt: skip
    return RawSample("k-1", b"no image", encode_meta(SampleMeta.model_validate(meta | changes)))


def test_a_face_off_its_image_is_named_whatever_is_visible(content):
    manifest, seen = content
    for visible in (True, False):
        findings = Findings()
        far = [(5000.0 + k, 30.0 + k) for k in range(68)]
        check_sample(_sample(manifest, points=far, visible=[visible] * 68), "x.tar", manifest, seen, findings)
        assert findings.all[0].message == "68 of 68 landmarks lie outside its image, 'a.jpg' of 160×160 px"
        assert findings.all[0].file == "x.tar: k-1"


def test_faces_with_most_landmarks_outside_are_named_and_hidden_ones_count(content):
    manifest, seen = content
    findings = Findings()
    some = [(-50.0 - k, 30.0 + k) if k < 30 else (20.0 + k, 30.0 + k) for k in range(68)]
    check_sample(_sample(manifest, points=some, visible=[False] * 68), "x.tar", manifest, seen, findings)
    assert (seen.outside, seen.outside_faces) == (30, [(30, "k-1")])
    seen.outside = 1000
    check_set("m", manifest, seen, findings)
    (message,) = [f.message for f in findings.all if "outside their image" in f.message]
    assert message.endswith("lie outside their image: in k-1 (30)")


def test_a_set_without_any_visible_landmark_is_mentioned(content):
    manifest, seen = content
    seen.visible = 0
    findings = Findings()
    check_set("m", manifest, seen, findings)
    assert [f.message for f in findings.all] == ["no landmark of the set is visible"]
