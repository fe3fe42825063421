"""A SQLite store that cannot be used says so before anything starts; one that was moved is the same store."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import TrackingError
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.tracking import Tracker
from pipeline.training.tracking_store import check_store


def at(root: Path, experiment: str = "tests") -> TrackingConfig:
    return TrackingConfig(
        uri=f"sqlite:///{root}/mlflow.db", artifacts=str(root / "mlartifacts"), experiment=experiment
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A root with a store, a run 'a' in it and one artifact of that."""
    root = tmp_path_factory.mktemp("stores") / "rootA"
    tracker = Tracker(at(root), "a", str(root / "runs" / "a"), {}, {})
    tracker.text("first", "first.txt")
    tracker.end("FAILED")
    return root


@pytest.fixture
def root(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "rootB"))


def test_a_sound_store_and_none_yet_pass(root, tmp_path):
    check_store(at(root))
    check_store(at(tmp_path / "nothing" / "yet"))
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "mlflow.db").touch()  # as SQLite leaves one that was opened and not written
    check_store(at(tmp_path))


@pytest.mark.parametrize("content", [b"garbage", bytes(4096), b"SQLite format 3\0" + b"x" * 8192])
def test_garbage_is_named(tmp_path, content):
    (tmp_path / "mlflow.db").write_bytes(content)
    with pytest.raises(TrackingError) as refused:
        check_store(at(tmp_path))
    assert f"{tmp_path}/mlflow.db" in str(refused.value)
    assert "track into another file" in str(refused.value)
    with pytest.raises(TrackingError):
        Tracker(at(tmp_path), "a", str(tmp_path / "runs" / "a"), {}, {})


def test_a_store_that_somebody_keeps_locked_is_named(root, monkeypatch):
    monkeypatch.setattr("pipeline.training.sqlite_store._LOCK_SECONDS", 0.1)
    other = sqlite3.connect(root / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TrackingError, match="database is locked"):
        check_store(at(root))
    other.execute("ROLLBACK")
    other.close()
    check_store(at(root))


@pytest.mark.parametrize("name", ["a%20b", "what?", "no#1"])
def test_a_path_that_mlflow_reads_as_another_is_refused(tmp_path, name):
    with pytest.raises(TrackingError, match="MLflow takes for part of an address") as refused:
        check_store(at(tmp_path / name))
    assert f"{tmp_path / name}" in str(refused.value)
    assert not (tmp_path / name).exists()


def test_a_deleted_experiment_says_what_to_do(root):
    tracker = Tracker(at(root, "old"), "b", str(root / "runs" / "b"), {}, {})
    tracker.client.delete_experiment(tracker.client.get_experiment_by_name("old").experiment_id)
    with pytest.raises(
        TrackingError, match=r"tracking\.experiment = old: was deleted .*'mlflow experiments restore"
    ):
        Tracker(at(root, "old"), "c", str(root / "runs" / "c"), {}, {})
    with pytest.raises(TrackingError, match="cannot be continued"):
        Tracker(at(root, "old"), "b", str(root / "runs" / "b"), {}, {})


def test_a_moved_store_goes_on_in_the_same_run_and_finds_its_artifacts(made, tmp_path):
    first = (made / "runs" / "a" / "mlflow.json").read_text()
    here, there = tmp_path / "here", tmp_path / "there"
    shutil.copytree(made, here)
    made_again = Tracker(at(here), "a", str(here / "runs" / "a"), {}, {})
    assert made_again.run_id in first
    # The old root is still there: what it holds is not ours to move.
    assert made_again.client.get_run(made_again.run_id).info.artifact_uri.startswith(str(made))
    # In a process of its own: MLflow remembers where a run's artifacts were.
    own = tmp_path / "own"
    begin = (
        "from pipeline.training.tracking import Tracker\n"
        "from pipeline.training.config.experiment import TrackingConfig\n"
        f"config = TrackingConfig.model_validate({at(own).model_dump()!r})\n"
        f"Tracker(config, 'a', {str(own / 'runs' / 'a')!r}, {{}}, {{}}).text('first', 'first.txt')"
    )
    subprocess.run([sys.executable, "-c", begin], check=True, timeout=300)
    run_id = json.loads((own / "runs" / "a" / "mlflow.json").read_text())["run_id"]
    shutil.move(own, there)
    moved = Tracker(at(there), "a", str(there / "runs" / "a"), {}, {})
    assert moved.run_id == run_id
    assert moved.has("first.txt")
    moved.text("second", "second.txt")
    assert sorted(p.name for p in there.rglob("*.txt")) == ["first.txt", "second.txt"]
    assert not own.exists()
