"""Trainings that are told to end at every stage: the same command again ends at the same numbers."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_run_interrupted_at_every_stage_ends_as_one_that_never_was(undisturbed, training, number, code):
    folder = training.folder
    stages: dict[str, Callable[[], object]] = {
        "claimed": lambda: (folder / "config.yaml").exists(),
        "Ray starts": lambda: training.child("gcs_server"),
        "workers start": lambda: training.child("RayTrainWorker"),
        "first steps": lambda: training.last_step() >= 2,
        "after a checkpoint": lambda: training.last_step() >= 14,
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
    assert "finished" in training.finish()
    training.is_as(undisturbed)
    assert training.statuses() == ["FINISHED"]
