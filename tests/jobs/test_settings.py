"""From what a user typed to a config."""

from pathlib import Path

import pytest

from jobs.settings import experiment, prepare_config, sets_of
from pipeline.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_overrides_reach_into_lists():
    chosen = prepare_config(str(CONFIGS / "demo.yaml"), ["prepare.sets.0.reader.count=60"])
    assert chosen.sets[0].reader["count"] == 60
    assert chosen.sets[2].reader["count"] > 60
    with pytest.raises(ConfigError, match=r"prepare\.sets\.9"):
        prepare_config(str(CONFIGS / "demo.yaml"), ["prepare.sets.9.reader.count=60"])


def test_overrides_are_read_as_in_a_file():
    chosen = experiment(
        str(CONFIGS / "demo.yaml"),
        ["unlabelled.objective=null", "optimizer.lr=1e-4", "evaluation.notes=[a, b]"],
    )
    assert chosen.unlabelled.objective is None
    assert chosen.optimizer.lr == 1e-4
    assert chosen.evaluation.notes == ("a", "b")


def test_config_with_nothing_but_a_prepare_section(tmp_path):
    path = tmp_path / "sets.yaml"
    path.write_text(
        "prepare: {out: o, sets: [{name: a, role: unlabelled, reader: {reader: folder, root: .}}]}\n"
    )
    assert prepare_config(str(path), ["prepare.crop.size=64"]).crop.size == 64
    with pytest.raises(ConfigError, match="did you mean 'crop'"):
        prepare_config(str(path), ["prepare.crob.size=64"])


def test_experiment_without_a_prepare_section_says_so(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text("name: x\ndata: {train: a, validation: b}\n")
    with pytest.raises(ConfigError, match="no section 'prepare'"):
        prepare_config(str(path), [])


def test_sets_of_a_config_and_its_streams(tmp_path):
    found, streams = sets_of([str(CONFIGS / "demo.yaml"), "elsewhere"])
    assert [Path(f).name for f in found] == ["train", "validation", "unlabelled", "test", "elsewhere"]
    assert streams == experiment(str(CONFIGS / "demo.yaml"), []).data.streams
