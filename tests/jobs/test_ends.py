"""What a finished run's command leaves in MLflow when it is given again. No cluster: there is nothing left to train."""

from __future__ import annotations

import io
import json
import shutil
import time
from pathlib import Path

import pytest
from rich.console import Console

from jobs.train import train
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.run import ready


@pytest.fixture
def finished(toy_experiment):
    """A run whose workers have finished, and whose driver was lost before it could say so."""
    run = ready(ExperimentConfig.model_validate(toy_experiment))
    folder = Path(run.folder)
    (folder / "models" / "best").mkdir(parents=True)
    (folder / "models" / "best" / "model.json").write_text("{}")
    (folder / "finished.json").write_text(
        json.dumps({"best": 5.0, "best_step": 6, "step": 12, "seconds": 1.0})
    )
    return run.config


def test_the_same_command_again_keeps_the_duration_and_uploads_what_is_missing(tmp_path, finished):
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")

    def command() -> tuple[str, int, int]:
        result = train(finished, Console(file=io.StringIO()))
        assert [a.path for a in client.list_artifacts(result.mlflow_run, "models")] == ["models/best"]
        info = client.get_run(result.mlflow_run).info
        return info.status, info.start_time, info.end_time

    first = command()
    assert first[0] == "FINISHED"
    time.sleep(0.01)
    assert command() == first
    shutil.rmtree(next((tmp_path / "artifacts").glob("*/artifacts/models")))
    assert command() == first
