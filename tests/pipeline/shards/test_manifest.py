"""A manifest reads back as it was written, and everything wrong with one is named: the file, the field, the remedy."""

import json

import fsspec
import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.errors import ManifestError
from pipeline.shards.manifest import (
    Manifest,
    SampleMeta,
    dump_manifest,
    join,
    load_manifest,
    manifest_url,
    parent,
)
from pipeline.storage import write_text

RAW = {
    "format": "landmark-pipeline/manifest",
    "version": 1,
    "name": "toy",
    "role": "labelled",
    "split": "train",
    "markup": "ibug68",
    "num_landmarks": 68,
    "crop": {"points": "detector", "side_factor": 3.0, "size": 80, "jpeg_quality": 95},
    "samples": 7,
    "shards": [
        {"path": "a.tar", "samples": 4, "bytes": 1000, "sha256": "a" * 64},
        {"path": "b.tar", "samples": 3, "bytes": 800, "sha256": "b" * 64},
    ],
    "source": {"reader": "folder", "root": "images"},
    "rejected": {"no face": 2},
    "statistics": {"cut_share": 0.0007},
    "config_hash": "0123456789ab",
}


def written(tmp_path, **changes) -> str:
    (tmp_path / "manifest.json").write_text(json.dumps({**RAW, **changes}), encoding="utf-8")
    return str(tmp_path)


def test_round_trip_is_exact_and_canonical(tmp_path):
    manifest = Manifest.model_validate(RAW)
    text = dump_manifest(manifest)
    assert json.loads(text) == RAW
    assert text.endswith("}\n")
    write_text(str(tmp_path / "manifest.json"), text)
    again = load_manifest(str(tmp_path))
    assert again == manifest
    assert dump_manifest(again) == text
    assert again.bytes == 1800


def test_a_manifest_is_found_by_its_folder_and_by_its_name(tmp_path):
    folder = written(tmp_path)
    assert load_manifest(folder) == load_manifest(folder + "/") == load_manifest(f"{folder}/manifest.json")


def test_a_manifest_in_an_object_store():
    url = "memory://test-manifest/set"
    write_text(f"{url}/manifest.json", json.dumps(RAW))
    try:
        assert load_manifest(url) == Manifest.model_validate(RAW)
        with pytest.raises(
            ManifestError, match="memory://test-manifest/other/manifest.json: no such manifest"
        ):
            load_manifest("memory://test-manifest/other")
    finally:
        fsspec.filesystem("memory").rm("/test-manifest", recursive=True)


WRONG = {
    "format": ({"format": "somebody/else"}, "field 'format' is not 'landmark-pipeline/manifest'"),
    "version": ({"version": 3}, "field 'version' is 3, this release reads versions 1 and 2"),
    "version absent": ({"version": None}, "field 'version' is None"),
    "counts": ({"samples": 8}, "field 'samples' is 8, but its shards hold 7"),
    "labelled without markup": ({"markup": None}, "a labelled set names its markup"),
    "unlabelled with markup": ({"role": "unlabelled"}, "an unlabelled one has markup null"),
    "role": ({"role": "partly"}, "field 'role'"),
    "split": ({"split": "dev"}, "field 'split'"),
    "unknown field": ({"colour": "blue"}, "field 'colour'"),
    "nested field": ({"crop": {**RAW["crop"], "side_factor": 0}}, "field 'crop.side_factor'"),
    "sha256": (
        {"shards": [{**RAW["shards"][0], "sha256": "short"}, RAW["shards"][1]]},
        "field 'shards.0.sha256'",
    ),
    "empty shard": (
        {"shards": [{**RAW["shards"][0], "samples": 0}, RAW["shards"][1]]},
        "field 'shards.0.samples'",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named(tmp_path, kind):
    changes, message = WRONG[kind]
    folder = written(tmp_path, **changes)
    with pytest.raises(ManifestError) as caught:
        load_manifest(folder)
    assert str(caught.value).startswith(f"{folder}/manifest.json: ")
    assert message in str(caught.value)
    if kind != "format":  # a file of somebody else's is not cured by preparing again
        assert str(caught.value).endswith("prepare the set again")


def test_a_missing_field_is_named(tmp_path):
    without = {k: v for k, v in RAW.items() if k != "config_hash"}
    (tmp_path / "manifest.json").write_text(json.dumps(without))
    with pytest.raises(ManifestError, match="field 'config_hash': Field required"):
        load_manifest(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"PK\x03\x04"])
def test_a_file_that_is_not_json_is_named(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ManifestError, match=r"manifest\.json: not JSON .* prepare the set again"):
        load_manifest(str(tmp_path))


@pytest.mark.parametrize("content", ["[]", '"text"', "{}"])
def test_json_that_is_no_manifest_is_named(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ManifestError, match="field 'format'"):
        load_manifest(str(tmp_path))


def test_a_missing_manifest_says_what_to_run(tmp_path):
    with pytest.raises(ManifestError, match="no such manifest; run 'landmarks prepare' first"):
        load_manifest(str(tmp_path / "nowhere"))


def test_a_folder_where_the_manifest_should_be(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(ManifestError, match=r"manifest\.json: cannot read"):
        load_manifest(str(tmp_path))


def test_crop_points_put_unknown_landmarks_nowhere():
    meta = SampleMeta(
        key="k", source="s", image="i.png", width=200, height=100, left=-4.0, top=10.0, side=40.0, size=80,
        points=[(-4.5, 9.5), None, (15.5, 29.5), (35.5, 49.5)], visible=[True, False, True, True],
    )  # fmt: skip
    # The square's edges and centre: its corner is the edge -0.5 of the first stored pixel.
    expected = [(-0.5, -0.5), (np.nan, np.nan), (39.5, 39.5), (79.5, 79.5)]
    np.testing.assert_allclose(meta.crop_points(), expected, atol=1e-12)


def test_an_unlabelled_sample_has_no_points():
    meta = SampleMeta(key="k", source="s", image="i", width=9, height=9, left=0, top=0, side=9, size=80)
    assert meta.crop_points().shape == (0, 2)


def test_a_sample_refuses_unknown_fields():
    with pytest.raises(ValidationError, match="lefft"):
        SampleMeta.model_validate(
            {
                "key": "k",
                "source": "s",
                "image": "i",
                "width": 9,
                "height": 9,
                "lefft": 0,
                "left": 0,
                "top": 0,
            }
        )


@pytest.mark.parametrize(
    ("url", "folder"),
    [("a/b/manifest.json", "a/b"), ("s3://x/y/manifest.json", "s3://x/y"), ("manifest.json", ".")],
)
def test_addresses(url, folder):
    assert parent(url) == folder
    assert manifest_url(url) == url
    assert join(folder + "/", "manifest.json") == (url if folder != "." else "./manifest.json")


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "a/b.tar", "..", ".hidden.tar", "s3://b/a.tar", "a.tar\n", ""]
)
def test_a_shard_is_a_file_of_the_manifests_own_folder(tmp_path, path):
    shards = [RAW["shards"][0] | {"path": path}, RAW["shards"][1]]
    with pytest.raises(ManifestError, match=r"manifest\.json: field 'shards\.0\.path'"):
        load_manifest(written(tmp_path, shards=shards))


def test_a_manifest_nested_without_end(tmp_path):
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(ManifestError, match=r"manifest\.json: nested too deeply"):
        load_manifest(str(tmp_path))
