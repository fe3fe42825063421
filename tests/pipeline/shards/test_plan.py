"""Sets to be: their parts, and an identity that follows everything that shapes their bytes."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.datasets.face import Unusable
from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.errors import ConfigError
from pipeline.markup import load_markup
from pipeline.shards.plan import RECORDS_PER_CHUNK, hold_out, plan_sets
from pipeline.shards.prepare_config import PrepareConfig, ValidationConfig


@dataclass(frozen=True)
class Record:
    name: str
    source: str = "s"


def records(count):
    return [Record(f"{i}.jpg") for i in range(count)]


def test_hold_out_is_a_partition_that_keeps_the_order():
    everything = records(200)
    kept, held = hold_out(everything, ValidationConfig(share=0.1, seed=0))
    assert len(held) == 20
    assert sorted([*kept, *held], key=everything.index) == everything
    assert kept == sorted(kept, key=everything.index)


def test_hold_out_depends_on_the_seed_and_not_on_the_order():
    everything = records(200)
    part = ValidationConfig(share=0.1, seed=0)
    assert set(hold_out(everything[::-1], part)[1]) == set(hold_out(everything, part)[1])
    assert set(hold_out(everything, ValidationConfig(share=0.1, seed=1))[1]) != set(
        hold_out(everything, part)[1]
    )


def test_adding_images_moves_few():
    part = ValidationConfig(share=0.1, seed=0)
    before, after = (set(hold_out(records(count), part)[1]) for count in (1000, 1050))
    assert len(before & after) >= 90


def test_hold_out_of_nothing():
    with pytest.raises(
        ConfigError, match=r"'validation\.share' is 0\.1: that leaves a part of 3 images empty"
    ):
        hold_out(records(3), ValidationConfig(share=0.1))


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "300w" / "afw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(20):
        Image.new("RGB", (64, 64)).save(folder / f"{index:02d}.jpg")
        points = "\n".join(f"{x:.3f} {y:.3f}" for x, y in rng.uniform(5, 60, (68, 2)))
        (folder / f"{index:02d}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{points}\n}}\n")
    return {
        "out": str(tmp_path / "out"),
        "crop": {"points": "landmarks"},
        "sets": [
            {
                "name": "train",
                "role": "labelled",
                "reader": {"reader": "w300", "root": str(tmp_path / "300w"), "subsets": ["afw"]},
                "validation": {"share": 0.2},
            }
        ],
    }


def plans(raw):
    return plan_sets(PrepareConfig.model_validate(raw))


def test_validation_becomes_a_set_of_its_own(raw):
    train, validation = plans(raw)
    assert (train.name, train.split, len(train.records)) == ("train", "train", 16)
    assert (validation.name, validation.split, len(validation.records)) == ("validation", "validation", 4)
    assert not {r.name for r in train.records} & {r.name for r in validation.records}
    assert train.references == ()
    assert validation.references == ("train",)
    assert train.source["records"] == 16


def test_chunks_cover_the_records_in_order(raw):
    train, _ = plans(raw)
    big = copy.replace(train, records=train.records * 20) if hasattr(copy, "replace") else train
    joined = tuple(record for index in range(big.chunk_count) for record in big.chunk(index))
    assert joined == big.records
    assert all(len(big.chunk(i)) <= RECORDS_PER_CHUNK for i in range(big.chunk_count))


def test_digest_follows_config_input_and_references(raw, tmp_path):
    def config_hash(changed, references=()):
        return plans(changed)[0].config_hash(references)

    base = config_hash(raw)
    assert config_hash(copy.deepcopy(raw)) == base
    assert config_hash(raw | {"out": str(tmp_path / "elsewhere")}) == base
    assert config_hash(raw | {"detector": {"batch": 7}}) == base
    assert config_hash(raw | {"crop": {"points": "landmarks", "jpeg_quality": 90}}) != base
    assert config_hash(raw | {"samples_per_shard": 7}) != base
    assert config_hash(raw, ["ab"]) != base
    annotation = tmp_path / "300w" / "afw" / "00.pts"
    for index in range(20):  # whichever part image 0 is in
        annotation = tmp_path / "300w" / "afw" / f"{index:02d}.pts"
        content = annotation.read_text()
        annotation.write_text(content.replace("1\n}", "2\n}").replace("3\n}", "4\n}").replace("5\n}", "6\n}"))
    assert config_hash(raw) != base


def test_detector_is_part_of_the_identity_only_where_it_is_used(raw):
    by_landmarks = plans(raw)[0].config_hash(())
    assert plans(raw | {"detector": {"margin": 0.2}})[0].config_hash(()) == by_landmarks
    by_detector = raw | {"crop": {"points": "detector"}}
    assert plans(by_detector | {"detector": {"margin": 0.2}})[0].config_hash(()) != plans(by_detector)[
        0
    ].config_hash(())


def test_stricter_comparison_changes_only_sets_that_were_compared(raw, monkeypatch):
    before = [plan.config_hash(()) for plan in plans(raw)]
    monkeypatch.setattr("pipeline.shards.plan.comparison_settings", lambda: {"threshold": 0.5})
    train, validation = [plan.config_hash(()) for plan in plans(raw)]
    assert train == before[0]
    assert validation != before[1]


def test_wrong_input_is_named(raw, tmp_path):
    wrong = copy.deepcopy(raw)
    wrong["sets"][0]["reader"]["rot"] = "x"
    with pytest.raises(
        ConfigError, match="set 'train': reader 'w300' has no parameter 'rot'; did you mean 'root'"
    ):
        plans(wrong)
    wrong = copy.deepcopy(raw)
    wrong["sets"][0]["reader"] = {"reader": "folder", "root": str(tmp_path)}
    with pytest.raises(
        ConfigError, match="set 'train': reader 'folder' has no landmarks; set role to unlabelled"
    ):
        plans(wrong)
    (tmp_path / "300w" / "afw" / "00.pts").unlink()
    (tmp_path / "300w" / "afw" / "01.pts").write_text("version: 1\n")
    left_out = [r.problem for plan in plans(raw) for r in plan.records if isinstance(r, Unusable)]
    assert len(left_out) == 2
    assert any("01.pts: no line" in problem for problem in left_out)


def test_wrong_flip_pairs_are_found_before_any_image_is_read(raw, tmp_path):
    definition = load_markup("ibug68").definition
    pairs = [
        [36, 42] if p == [36, 45] else [39, 45] if p == [39, 42] else p for p in definition["flip_pairs"]
    ]
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(definition | {"name": "wrong", "flip_pairs": pairs}))
    rows = ["path," + ",".join(f"x{k},y{k}" for k in range(68))]
    for index, record in enumerate(SyntheticFaces(20, seed=2, size=64).records()):
        points = ",".join(map(str, record.load().annotation.points_K2.ravel()))
        rows.append(f"{index:02d}.jpg,{points}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    reader = {"reader": "table", "path": str(tmp_path / "t.csv"), "root": str(tmp_path / "300w" / "afw")}
    raw["sets"][0]["reader"] = reader | {"markup": str(tmp_path / "wrong.yaml")}
    with pytest.raises(
        ConfigError, match="markup 'wrong': mirrored, landmark 36 lies on 45, not on its partner 42"
    ):
        plans(raw)
    raw["sets"][0]["reader"] = reader | {"markup": "ibug68"}
    assert len(plans(raw)) == 2


def test_larger_images_are_part_of_the_identity_only_where_they_are_allowed(raw):
    before, allowed = plans(raw)[0], plans(raw | {"max_image_mpx": 100})[0]
    assert allowed.config_hash(()) != before.config_hash(())
    assert (before.options.max_pixels, allowed.options.max_pixels) == (64_000_000, 100_000_000)


def test_what_a_reader_passed_over_is_said(raw, tmp_path):
    (tmp_path / "300w" / "notes.txt").touch()
    raw["sets"] = [
        {"name": "u", "role": "unlabelled", "reader": {"reader": "folder", "root": str(tmp_path / "300w")}}
    ]
    raw["crop"] = {"points": "detector"}
    (plan,) = plans(raw)
    assert "× .pts" in plan.remarks[0]
