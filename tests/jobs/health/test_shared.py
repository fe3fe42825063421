"""Storage, sets and tracking are tried, not guessed at, and nothing is left behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import jobs.health.shared as module
from jobs.health.finding import Finding, Level
from jobs.health.shared import examine_shared
from pipeline.training.config.experiment import ExperimentConfig


def findings(raw: dict) -> dict[str, Finding]:
    return {finding.about: finding for finding in examine_shared(ExperimentConfig.model_validate(raw))}


@pytest.fixture(autouse=True)
def _small_probe(monkeypatch):
    monkeypatch.setattr(module, "PROBE_BYTES", 2**16)
    monkeypatch.setattr(module, "_SLOW", 1)


def test_what_works_is_seen_to_work_and_left_clean(toy_experiment, tmp_path):
    found = findings(toy_experiment)
    storage = tmp_path / "runs"
    assert {finding.level for finding in found.values()} == {Level.OK}
    assert found[f"storage {storage}"].seen == "what was written is read"
    assert found["data.train"].seen == "60 samples in 4 shards"
    assert list(storage.iterdir()) == []
    assert not (tmp_path / "mlflow.db").exists()


def test_each_thing_that_is_away_is_a_failure_of_its_own(toy_experiment, tmp_path, toy_sets):
    broken = shutil.copytree(toy_sets["test"], tmp_path / "broken")
    min(Path(broken).glob("*.tar")).unlink()
    toy_experiment["data"] |= {"train": str(tmp_path / "nowhere"), "test": str(broken)}
    toy_experiment["tracking"]["uri"] = "http://127.0.0.1:9"
    (tmp_path / "runs").write_text("a file, where a folder should be")
    found = findings(toy_experiment)
    failed = {about for about, finding in found.items() if finding.level is Level.FAILURE}
    assert failed == {f"storage {tmp_path / 'runs'}", "data.train", "data.test", "MLflow"}
    assert "nowhere/manifest.json: no such manifest" in found["data.train"].seen
    assert ".tar" in found["data.test"].seen


def test_storage_that_gives_back_something_else_is_not_trusted(toy_experiment, tmp_path, monkeypatch):
    written = module.write_bytes
    monkeypatch.setattr(module, "write_bytes", lambda url, content: written(url, content[:-1] + b"!"))
    monkeypatch.setattr(module.os, "urandom", bytes)
    found = findings(toy_experiment)[f"storage {tmp_path / 'runs'}"]
    assert found.level is Level.FAILURE
    assert "loses data" in found.remedy


def test_slow_storage_is_said(toy_experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SLOW", 2**60)
    assert findings(toy_experiment)[f"rate of {tmp_path / 'runs'}"].level is Level.WARNING
