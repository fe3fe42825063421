"""Shipped configs are found from anywhere and copied with all their pieces; a user's own file of the same name comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.training.config.compose import compose
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.config.shipped import copy_experiment, names, shipped, shipped_folder


def test_in_an_empty_folder(tmp_path, monkeypatch):
    here = compose(shipped_folder() / "demo_adnet.yaml", [], ExperimentConfig)
    monkeypatch.chdir(tmp_path)
    assert compose("configs/demo_adnet.yaml", [], ExperimentConfig) == here
    with pytest.raises(ConfigError, match=r"configs/demo_adnett.yaml: no such config"):
        compose("configs/demo_adnett.yaml", [], ExperimentConfig)
    with pytest.raises(ConfigError, match="no such config"):
        compose("demo_adnet.yaml", [], ExperimentConfig)


def test_a_users_own_file_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = Path("configs/pieces/rcn.yaml")
    assert shipped(own) == shipped_folder() / "pieces/rcn.yaml"
    (tmp_path / "configs/pieces").mkdir(parents=True)
    own.write_text("model: {name: rcn, width: 8}\n")
    assert shipped(own) == own
    # Its own experiment, a shipped piece and a piece of its own.
    Path("configs/mine.yaml").write_text("extends: [laplace_300w.yaml, pieces/rcn.yaml]\nname: mine\n")
    assert compose("configs/mine.yaml", [], ExperimentConfig).model.parameters["width"] == 8


@pytest.mark.parametrize("name", names())
def test_a_copy_is_the_same_experiment(tmp_path, name):
    first, *pieces = copy_experiment(name, tmp_path)
    assert first == tmp_path / "configs" / f"{name}.yaml"
    assert all(piece.is_file() for piece in pieces)
    copied = compose(first, [], ExperimentConfig)
    assert config_hash(copied) == config_hash(
        compose(shipped_folder() / f"{name}.yaml", [], ExperimentConfig)
    )


def test_nothing_of_a_users_is_overwritten(tmp_path):
    copy_experiment("laplace_300w", tmp_path)
    piece = tmp_path / "configs/pieces/w300.yaml"
    piece.write_text("mine: true\n")
    with pytest.raises(ConfigError, match="there already"):
        copy_experiment("laplace_300w.yaml", tmp_path)
    assert piece not in copy_experiment("adnet_300w", tmp_path)
    assert piece.read_text() == "mine: true\n"
    with pytest.raises(ConfigError, match="did you mean 'laplace_300w'"):
        copy_experiment("laplace300w", tmp_path)
