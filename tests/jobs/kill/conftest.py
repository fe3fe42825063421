"""Commands that are given again and again while they, or what they started, are ended; and what an undisturbed run computes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pytest
import yaml
from traces import entries, trace

STEPS = 36


class Command:
    """A command, given again and again."""

    def __init__(self, landmarks: Any, *arguments: str) -> None:
        self._landmarks, self._arguments = landmarks, arguments
        self.process: Any = None
        self.family: set[psutil.Process] = set()

    def start(self, *more: str) -> None:
        self.process = self._landmarks.start(*self._arguments, *more)
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

    def __init__(self, name: str, raw: dict[str, Any], landmarks: Any) -> None:
        self.raw = raw | {"name": name}
        self.folder = Path(raw["cluster"]["storage"]) / name
        path = self.folder.parent.parent / f"{name}.yaml"
        path.write_text(yaml.safe_dump(self.raw))
        super().__init__(landmarks, "train", str(path))

    def statuses(self) -> list[str]:
        """Of its MLflow runs; there should be one."""
        client = mlflow.MlflowClient(tracking_uri=self.raw["tracking"]["uri"])
        ids = [client.get_experiment_by_name("landmarks").experiment_id]
        found = client.search_runs(ids, f"attributes.run_name = '{self.raw['name']}'")
        return [run.info.status for run in found]

    def trace(self, rank: int = 0) -> list[dict[str, Any]]:
        """See ``traces.trace``."""
        return trace(self.folder, rank)

    def last_step(self) -> int:
        written = entries(self.folder)
        return written[-1]["step"] if written else -1

    def is_as(self, undisturbed: list[dict[str, Any]], rank: int = 0) -> None:
        """Sample ids and losses, to the bit."""
        ours = self.trace(rank)
        assert [entry["step"] for entry in ours] == list(range(STEPS))
        assert [entry["keys"] for entry in ours] == [entry["keys"] for entry in undisturbed]
        assert [entry["metrics"] for entry in ours] == [entry["metrics"] for entry in undisturbed]

    def saw(self, undisturbed: list[dict[str, Any]]) -> list[int]:
        """The same faces in every step, by however many workers; how many they were, step by step."""
        second = {entry["step"]: entry["keys"] for entry in entries(self.folder, 1)}
        workers = []
        assert [entry["step"] for entry in self.trace()] == list(range(STEPS))
        for entry, whole in zip(self.trace(), undisturbed, strict=True):
            shared = len(entry["keys"]) < len(whole["keys"])
            others = second[entry["step"]] if shared else []
            pairs = zip(entry["keys"], others, strict=True)
            keys = [key for pair in pairs for key in pair] if shared else entry["keys"]
            assert keys == whole["keys"], entry["step"]
            workers.append(1 + shared)
        return workers


@pytest.fixture
def experiment(toy_experiment) -> dict[str, Any]:
    """With dropout and augmentation, which a resumed run must repeat, too."""
    toy_experiment["model"]["dropout"] = 0.2
    toy_experiment["augmentation"] = {"name": "adnet"}
    toy_experiment["training"] |= {"steps": STEPS, "ema_decay": 0.9}
    return toy_experiment


@pytest.fixture
def undisturbed(experiment, train_plainly, lone_landmarks) -> list[dict[str, Any]]:
    """The trace of a run of one worker that nobody disturbed."""
    whole = Training("whole", experiment, lone_landmarks)
    assert train_plainly(whole.raw)[0]["error"] is None
    return whole.trace()


@pytest.fixture
def make_training(experiment, lone_landmarks) -> Callable[..., Training]:
    """Makes the command of a run by its name, on a Ray of its own if no other is given."""

    def make(name: str, landmarks: Any = lone_landmarks) -> Training:
        return Training(name, experiment, landmarks)

    return make


@pytest.fixture
def training(make_training) -> Training:
    return make_training("killed")


@pytest.fixture
def command(lone_landmarks) -> Callable[..., Command]:
    """Makes any other command of its arguments."""
    return lambda *arguments: Command(lone_landmarks, *arguments)
