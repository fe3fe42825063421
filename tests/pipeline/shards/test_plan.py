"""Sets to be: their parts, and an identity that follows everything that shapes their bytes."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ConfigError, DataError
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
    joined = tuple(record for chunk in big.chunks for record in chunk)
    assert joined == big.records
    assert all(len(chunk) <= RECORDS_PER_CHUNK for chunk in big.chunks)


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
    (tmp_path / "300w" / "afw" / "00.pts").write_text("version: 1\n")
    with pytest.raises(DataError, match=r"00\.pts: no line"):
        plans(raw)
