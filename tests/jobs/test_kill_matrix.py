"""Trainings that are interrupted, and whose processes die, at every stage: the same command again ends at the same numbers.

All with a Ray of their own, and minutes long; one death of a worker is part of every run of the tests (``test_train.py``).
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import psutil
import pytest
import yaml
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

_STEPS = 36


def trace(folder: Path, rank: int = 0) -> list[dict[str, Any]]:
    """The last entry of each step: a resumed run repeats the steps after its checkpoint."""
    lines = (folder / "trace" / f"rank{rank}.jsonl").read_text().splitlines()
    last = {entry["step"]: entry for entry in map(json.loads, lines)}
    return [last[step] for step in sorted(last)]


def last_step(folder: Path) -> int:
    path = folder / "trace" / "rank0.jsonl"
    # The last line may be under way.
    lines = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else -1


def heard() -> None:
    """Whoever starts the tests in the background has them, and what they start, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Command:
    """A command, given again and again."""

    def __init__(self, landmarks: Any, *arguments: str) -> None:
        self._landmarks, self._arguments = landmarks, arguments
        self.process: Any = None
        self.family: set[psutil.Process] = set()

    def start(self, *more: str) -> None:
        self.process = self._landmarks.start(*self._arguments, *more, preexec_fn=heard)
        self.family = set()

    def until(self, condition: Callable[[], object], seconds: float = 300) -> None:
        """Wait, looking often: some stages are short."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline, "the stage was never seen"
            time.sleep(0.005)
        self.family = set(psutil.Process(self.process.pid).children(recursive=True))

    def child(self, title: str) -> psutil.Process | None:
        """The process of its Ray whose command line holds a text."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if title in " ".join(child.cmdline()):
                    return child
            except psutil.Error:
                continue  # just over
        return None

    def kill(self, title: str) -> None:
        victim = self.child(title)
        assert victim is not None, title
        victim.kill()

    def ended(self, seconds: float = 180, leaving: float = 30) -> tuple[int, str]:
        """Its exit code and what it printed; what it started has ended, too, some seconds later."""
        output, _ = self.process.communicate(timeout=seconds)
        _, left = psutil.wait_procs(self.family, timeout=leaving)
        assert not left, left
        return self.process.returncode, output

    def finish(self, *more: str) -> str:
        self.start(*more)
        code, output = self.ended(600)
        assert code == 0, output
        return output


class Training(Command):
    """The command of one run."""

    def __init__(self, name: str, raw: dict[str, Any], folder: Path, landmarks: Any) -> None:
        self.raw = raw | {"name": name}
        self.folder = Path(raw["cluster"]["storage"]) / name
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(self.raw))
        super().__init__(landmarks, "train", str(path))

    def statuses(self) -> list[str]:
        """Of its MLflow runs; there should be one."""
        client = mlflow.MlflowClient(tracking_uri=self.raw["tracking"]["uri"])
        ids = [client.get_experiment_by_name("landmarks").experiment_id]
        found = client.search_runs(ids, f"attributes.run_name = '{self.raw['name']}'")
        return [run.info.status for run in found]


@pytest.fixture
def experiment(toy_experiment, train_plainly):
    """An experiment with dropout and augmentation, and the trace of a run of it that nobody disturbed."""
    toy_experiment["model"]["dropout"] = 0.2
    toy_experiment["augmentation"] = {"name": "adnet"}
    toy_experiment["training"] |= {"steps": _STEPS, "ema_decay": 0.9}
    whole = toy_experiment | {"name": "whole"}
    assert train_plainly(whole)[0]["error"] is None
    return toy_experiment, trace(Path(whole["cluster"]["storage"]) / "whole")


@pytest.fixture
def training(experiment, tmp_path, lone_landmarks) -> Training:
    return Training("killed", experiment[0], tmp_path, lone_landmarks)


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    """Sample ids and losses, to the bit."""
    assert [entry["step"] for entry in one] == list(range(_STEPS))
    assert [entry["keys"] for entry in one] == [entry["keys"] for entry in other]
    assert [entry["metrics"] for entry in one] == [entry["metrics"] for entry in other]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_run_interrupted_at_every_stage_ends_as_one_that_never_was(experiment, training, number, code):
    folder = training.folder
    stages: dict[str, Callable[[], object]] = {
        "claimed": lambda: (folder / "config.yaml").exists(),
        "Ray starts": lambda: training.child("gcs_server"),
        "workers start": lambda: training.child("RayTrainWorker"),
        "first steps": lambda: last_step(folder) >= 2,
        "after a checkpoint": lambda: last_step(folder) >= 14,
        "a checkpoint is written": lambda: any(folder.glob("step-*28")),
        "workers have finished": lambda: (folder / "finished.json").exists(),
    }
    for stage, reached in stages.items():
        training.start()
        training.until(reached)
        training.process.send_signal(number)
        assert training.ended()[0] == code, stage
        if stage != "claimed":  # its MLflow run may not be there yet
            assert training.statuses() == ["KILLED"], stage
    assert "goes on" in (output := training.finish()) or "finished" in output
    same(trace(folder), experiment[1])
    assert training.statuses() == ["FINISHED"]


@pytest.mark.timeout(1800)
def test_whoever_of_ray_dies_the_run_goes_on_to_the_bit(experiment, training):
    for count, victim in enumerate(("RayTrainWorker", "TrainController", "gcs_server", "driver")):
        training.start()
        training.until(lambda least=6 * count + 5: last_step(training.folder) >= least)
        if victim == "driver":
            training.process.kill()
        else:
            training.kill(victim)
        # Two processes of Ray's own may wait a minute or two for those that are gone.
        code, output = training.ended(leaving=180)
        assert code != 0, victim
        if victim != "driver":
            assert "Traceback" not in output, (victim, output)
            assert training.statuses() == ["FAILED"], victim
    training.finish()
    same(trace(training.folder), experiment[1])
    assert training.statuses() == ["FINISHED"]


@pytest.mark.timeout(1800)
def test_a_raylet_that_dies_takes_the_driver_with_it_and_nothing_is_lost(experiment, training):
    training.start()
    training.until(lambda: last_step(training.folder) >= 5)
    training.kill("raylet/raylet")
    # Ray notices after some seconds, in which the workers train on; then it ends the driver where it stands.
    assert training.ended(leaving=180)[0] != 0
    training.finish()
    same(trace(training.folder), experiment[1])
    assert training.statuses() == ["FINISHED"]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("step", [4, 12, 20])
def test_a_worker_that_dies_while_a_checkpoint_is_written(experiment, training, step):
    training.start()
    training.until(lambda: any(training.folder.glob(f"step-*{step}")))
    training.kill("RayTrainWorker")
    assert training.ended()[0] != 0
    training.finish()
    same(trace(training.folder), experiment[1])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("zero", [0, 1, 2])
def test_two_workers_of_any_zero_stage_go_on_to_the_bit(experiment, training, tmp_path, lone_landmarks, zero):
    size = ("cluster.workers=2", f"cluster.zero_stage={zero}")
    whole = Training("together", experiment[0], tmp_path, lone_landmarks)
    whole.finish(*size)
    training.start(*size)
    training.until(lambda: last_step(training.folder) >= 15)
    training.kill("RayTrainWorker")
    assert training.ended()[0] != 0
    if zero:
        training.start("cluster.workers=1", f"cluster.zero_stage={zero}")
        code, output = training.ended()
        assert code != 0
        assert "an optimizer's state cannot be split again" in " ".join(output.split())
    training.finish(*size)
    for rank in (0, 1):
        same(trace(training.folder, rank), trace(whole.folder, rank))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_another_number_of_workers_sees_the_same_faces(experiment, training, before, after):
    training.start(f"cluster.workers={before}")
    training.until(lambda: last_step(training.folder) >= 15)
    training.kill("RayTrainWorker")
    assert training.ended()[0] != 0
    reached = last_step(training.folder)
    training.finish(f"cluster.workers={after}")
    traces = {0: trace(training.folder)}
    traces |= {1: {entry["step"]: entry["keys"] for entry in trace(training.folder, 1)}}
    for entry, undisturbed in zip(traces[0], experiment[1], strict=True):
        shared = len(entry["keys"]) < len(undisturbed["keys"])
        if entry["step"] > reached:
            assert shared == (after == 2)
        keys = (
            [key for pair in zip(entry["keys"], traces[1][entry["step"]], strict=True) for key in pair]
            if shared
            else entry["keys"]
        )
        assert keys == undisturbed["keys"], entry["step"]


@pytest.fixture
def preparation(tmp_path) -> Callable[[str], Path]:
    """Writes configs that prepare 1,500 images in 300-W's layout into folders of different names."""
    folder = tmp_path / "300w" / "afw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(1500):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{index:04d}.jpg")
        points = "\n".join(f"{x:.3f} {y:.3f}" for x, y in rng.uniform(20, 80, (68, 2)))
        (folder / f"{index:04d}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{points}\n}}\n")

    def write(name: str) -> Path:
        one = {"name": "s", "role": "labelled", "reader": {"reader": "300w", "root": str(folder.parent)}}
        crop = {"points": "landmarks", "size": 32}
        raw = {"out": str(tmp_path / name), "crop": crop, "min_face_px": 8, "samples_per_shard": 32}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"prepare": raw | {"sets": [one]}}))
        return path

    return write


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=["ctrl-c", "sigterm", "kill -9"],
)
def test_a_preparation_ended_at_every_stage_writes_what_an_undisturbed_one_does(
    preparation, tmp_path, lone_landmarks, number, code
):
    lone_landmarks.run("prepare", str(preparation("whole")), "--workers", "0")
    out, path = tmp_path / "ended", preparation("ended")
    command = Command(lone_landmarks, "prepare", str(path), "--workers", "2")
    stages: dict[str, Callable[[], object]] = {
        "locked": out.exists,
        "Ray starts": lambda: command.child("gcs_server"),
        "workers start": lambda: command.child("ChunkWorker"),
        "a chunk is done": lambda: any(out.glob(".staging/s/*/chunk-*.json")),
        "shards are written": lambda: any(out.glob("s/*.tar")),
    }
    for stage, reached in stages.items():
        command.start()
        command.until(reached)
        command.process.send_signal(number)
        assert command.ended()[0] == code, stage
        assert not (out / "s" / "manifest.json").exists(), stage
    command.finish()

    def written(name: str) -> dict[str, bytes]:
        return {f.name: f.read_bytes() for f in (tmp_path / name / "s").iterdir()}

    assert written("ended") == written("whole")
