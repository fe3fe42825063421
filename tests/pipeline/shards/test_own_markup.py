"""A markup given by path goes with the prepared set: its YAML may move, change or vanish."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from jobs.prepare import prepare
from pipeline.errors import ConfigError, ManifestError
from pipeline.markup import load_markup, own_definition
from pipeline.shards.manifest import dump_manifest, load_manifest
from pipeline.shards.prepare_config import PrepareConfig
from pipeline.shards.verify import verify
from pipeline.training.config.compose import validate
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.plan import make_plan

YAML = """
name: six
num_landmarks: 6
curves: {mouth: {indices: [3, 5, 4]}}
flip_pairs: [[0, 1], [3, 4]]
ocular: [0, 1]
five_points: [[0], [1], [2], [3], [4]]
names: [left eye, right eye, nose, left mouth, right mouth, lip]
mappings: {mtfl5: [0, 1, 2, 3, 4]}
"""
SHAPE = np.array([[30, 40], [66, 40], [48, 55], [35, 70], [61, 70], [48, 73]])


@pytest.fixture
def prepared(tmp_path):
    """Prepare a table of 24 faces with a markup of one's own. Returns the function, its folder and the YAML."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(24):
        pixels = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        pixels.resize((96, 96), Image.Resampling.BICUBIC).save(tmp_path / f"{index}.png")
        points = (SHAPE + rng.normal(0, 1, (6, 2))).round(2).tolist()
        rows.append(json.dumps({"path": f"{index}.png", "points": points}))
    (tmp_path / "faces.jsonl").write_text("\n".join(rows))
    count = iter(range(100))

    def run(text=YAML, **options):
        path = tmp_path / f"six-{next(count)}.yaml"  # markups are cached by path
        path.write_text(text)
        reader = {
            "reader": "table",
            "path": str(tmp_path / "faces.jsonl"),
            "root": str(tmp_path),
            "markup": str(path),
        }
        raw = {
            "out": str(tmp_path / "out"),
            "crop": {"points": "landmarks", "size": 32, "side_factor": 2.0},
            "samples_per_shard": 4,
            "sets": [{"name": "train", "role": "labelled", "reader": reader, "validation": {"share": 0.3}}],
        }
        prepare(PrepareConfig.model_validate(raw), workers=0, **options)
        return load_markup(str(path)), path

    return run, tmp_path / "out"


def test_the_set_knows_its_markup_without_the_yaml(prepared):
    run, out = prepared
    markup, path = run()
    path.unlink()
    manifest = load_manifest(str(out / "train"))
    assert (manifest.markup, manifest.num_landmarks) == ("six", 6)
    assert manifest.layout == markup
    assert load_manifest(str(out / "validation")).layout == markup
    report = verify([str(out / "train"), str(out / "validation")])
    assert not [finding for finding in report.findings if "markup" in finding.message]
    raw = {
        "name": "x",
        "data": {"train": str(out / "train"), "validation": str(out / "validation"), "streams": 1},
        "training": {"batch": 4, "epochs": 1},
    }
    plan = make_plan(validate(raw, ExperimentConfig, "x.yaml"))
    assert plan.markup == markup


def test_a_changed_markup_is_another_set(prepared):
    run, out = prepared
    run()
    manifest = (out / "train" / "manifest.json").read_bytes()
    changed = YAML.replace("[3, 5, 4]", "[4, 5, 3]")
    with pytest.raises(ConfigError, match="prepared from another config or other images"):
        run(changed)
    assert (out / "train" / "manifest.json").read_bytes() == manifest
    markup, _ = run(changed, overwrite=True)
    assert load_manifest(str(out / "train")).layout == markup


def test_training_and_validation_must_mean_the_same_landmarks(prepared):
    run, out = prepared
    run()
    path = out / "validation" / "manifest.json"
    content = json.loads(path.read_text())
    content["markup_definition"]["flip_pairs"] = []
    path.write_text(json.dumps(content))
    raw = {
        "name": "x",
        "data": {"train": str(out / "train"), "validation": str(out / "validation"), "streams": 1},
        "training": {"batch": 4, "epochs": 1},
    }
    with pytest.raises(ConfigError, match="data.validation has another 'six' than data.train"):
        make_plan(validate(raw, ExperimentConfig, "x.yaml"))


def test_packaged_markups_are_named_only(toy_sets, tmp_path):
    assert own_definition(None) is None
    assert own_definition(load_markup("wflw98")) is None
    manifest = load_manifest(str(toy_sets["train"]))
    assert manifest.layout == load_markup("ibug68")
    assert "markup_definition" not in dump_manifest(manifest)
    # A YAML that takes a packaged name but says something else is kept.
    path = tmp_path / "mtfl5.yaml"
    path.write_text("name: mtfl5\nnum_landmarks: 5\nflip_pairs: []\n")
    assert own_definition(load_markup(str(path)))["flip_pairs"] == []
    with pytest.raises(ManifestError, match="is unlabelled: it has no markup"):
        _ = load_manifest(str(toy_sets["unlabelled"])).layout


def test_a_broken_definition_is_named(toy_sets):
    manifest = load_manifest(str(toy_sets["train"])).model_copy(update={"markup_definition": {"name": "x"}})
    with pytest.raises(
        ConfigError, match="manifest of 'toy', field 'markup_definition': field 'num_landmarks' is missing"
    ):
        _ = manifest.layout
