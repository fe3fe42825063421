"""A run keeps its config: what counts as the same one, what may be made longer, and what has nothing to lose."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.errors import ConfigError, TrainingError
from pipeline.shards.manifest import load_manifest
from pipeline.training.checkpoint import RunState
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.identity import hashes_of
from pipeline.training.run import ready


@pytest.fixture
def start(toy_experiment):
    """Claims the toy run as a start of it would, with changes to its config."""

    def make(changes=None, data=None):
        raw = {**toy_experiment, "data": {**toy_experiment["data"], **(data or {})}}
        for key, value in (changes or {}).items():
            section, _, field = key.partition(".")
            raw[section] = {**raw.get(section, {}), field: value} if field else value
        return ready(ExperimentConfig.model_validate(raw))

    return make


@pytest.fixture
def finished(start):
    """The toy run at its end, without the training."""

    def make(changes=None):
        run = start(changes)
        folder = Path(run.folder)
        (folder / "step-000000012").mkdir()
        (folder / "finished.json").write_text(
            RunState(step=12, config_hash=run.config_hash).model_dump_json()
        )
        return run

    return make


def test_a_root_that_moved_is_the_same_run(start, finished, toy_sets, tmp_path):
    first = finished()
    moved = {key: str(shutil.copytree(folder, tmp_path / "b" / key)) for key, folder in toy_sets.items()}
    again = start(data=moved)
    assert again.finished is not None
    assert again.config_hash == first.config_hash
    # Whoever reads the run's config later finds its sets where they are now.
    stored = yaml.safe_load(Path(again.folder, "config.yaml").read_text())
    assert stored["data"]["train"] == moved["train"]
    shutil.rmtree(tmp_path / "b" / "test")  # training never opens it
    assert start(data=moved).finished is not None


def test_other_faces_at_the_same_place_are_another_run(start, finished, toy_sets, make_toy_set, tmp_path):
    place = tmp_path / "place"
    shutil.copytree(toy_sets["train"], place)
    run = start(data={"train": str(place)})
    (Path(run.folder) / "step-000000012").mkdir()
    shutil.rmtree(place)
    make_toy_set(place, 60, seed=8)
    with pytest.raises(ConfigError, match=r"data\.train: 'sha256:.*another set lies there than before"):
        start(data={"train": str(place)})


def test_what_failed_before_its_first_checkpoint_does_not_lock_its_name(start):
    first = start({"optimizer.lr": 0.1})
    (Path(first.folder) / "mlflow.json").write_text("{}")
    again = start({"optimizer.lr": 0.001})
    assert "had ended before its first checkpoint; it starts afresh with optimizer.lr" in again.notes[0]
    # It is another run, in MLflow, too.
    assert not (Path(again.folder) / "mlflow.json").exists()
    assert hashes_of(again.folder, again.config_hash) == (again.config_hash,)
    (Path(again.folder) / "step-000000006").mkdir()
    with pytest.raises(ConfigError, match=r"another config \(optimizer\.lr: 0\.001 → 0\.5\)"):
        start({"optimizer.lr": 0.5})


def test_a_run_of_a_constant_rate_goes_on_for_longer(start, finished):
    first = finished()
    longer = start({"training.steps": 20})
    assert longer.finished is None
    assert longer.plan.steps == 20
    assert longer.notes == ("run 'toy' goes on, from 12 to 20 steps",)
    # Its checkpoints bear the hash of the shorter one; its models will bear their own.
    assert longer.config_hash != first.config_hash
    assert hashes_of(longer.folder, longer.config_hash) == (first.config_hash, longer.config_hash)
    assert start({"training.steps": 20}).notes == ()
    with pytest.raises(ConfigError, match="longer, not shorter"):
        start()
    with pytest.raises(ConfigError, match=r"another config \(optimizer\.lr"):
        start({"training.steps": 30, "optimizer.lr": 0.5})


def test_a_run_whose_rates_depend_on_its_length_says_so(start, finished):
    cosine = {"schedule": {"name": "cosine"}}
    run = finished(cosine)
    with pytest.raises(ConfigError) as refused:
        start(cosine | {"training.steps": 24})
    said = str(refused.value)
    assert "cannot go on from 12 to 24 steps: schedule 'cosine' depends on the length" in said
    assert "another rate from step 1 on" in said
    assert f"init.model={run.folder}" in said
    assert start(cosine).finished is not None


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"{", b"- a\n", b"a: [", b"", b"name: toy\n"], ids=repr)
def test_a_damaged_config_is_named(start, finished, content):
    path = Path(finished().folder) / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        start()
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("content", [b"", b'{"step": 12', b"\xff\xfe", b"[]", b'{"stop": 1}'], ids=repr)
def test_a_damaged_end_is_named_with_its_remedy(start, finished, content):
    path = Path(finished().folder) / "finished.json"
    path.write_bytes(content)
    with pytest.raises(TrainingError) as refused:
        start()
    assert str(path) in str(refused.value)
    assert "remove it" in str(refused.value)


def test_a_damaged_claim_is_named(start, finished):
    path = Path(finished().folder) / "claim.json"
    path.write_text(path.read_text()[:30])
    with pytest.raises(ConfigError, match=r"claim\.json: damaged"):
        start()


def test_a_run_older_than_claims_is_known_by_its_paths(start, finished, toy_sets, tmp_path):
    run = finished()
    (Path(run.folder) / "claim.json").unlink()
    assert start().finished is not None
    assert (Path(run.folder) / "claim.json").exists()  # from now on, by its sets
    moved = str(shutil.copytree(toy_sets["train"], tmp_path / "b"))
    assert load_manifest(moved).samples == 60
    assert start(data={"train": moved}).finished is not None
