"""What MLflow knows of a run is read back, and what is measured later is added to it, in a real store."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.errors import TrackingError
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import Protocol, evaluate
from pipeline.inference.tracked import TrackedRun, tracked_run
from pipeline.markup import load_markup


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    import mlflow

    folder = tmp_path_factory.mktemp("mlflow")
    made = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    experiment = made.create_experiment("toy", artifact_location=f"{folder}/artifacts")
    return SimpleNamespace(client=made, experiment=experiment, uri=f"sqlite:///{folder}/mlflow.db")


@pytest.fixture
def run(client) -> TrackedRun:
    return TrackedRun(client.uri, client.client.create_run(client.experiment).info.run_id)


def test_of_a_step_that_was_done_twice_the_last_counts(client, run):
    for step, loss in ((1, 4.0), (2, 3.0), (3, 2.5), (2, 2.9), (3, 2.4)):  # killed after 3, resumed at 2
        client.client.log_metric(run.run_id, "train/loss", loss, step=step)
    assert run.curves() == {"training loss": ([1.0, 2.0, 3.0], [4.0, 2.9, 2.4])}


def test_what_was_measured_is_added(client, run):
    markup = load_markup("ibug68")
    target = np.random.default_rng(0).uniform(0, 100, (3, 68, 2))
    off = Predictions(
        keys=np.array(["a", "b", "c"]),
        points_NK2=target + np.array([3.0, 4.0]),
        target_NK2=target,
        mask_NK=np.ones((3, 68), dtype=bool),
        scale_N=np.ones(3),
    )
    evaluation = evaluate(off, markup, Protocol(dataset="300w", split="test"), run="toy")
    run.log(evaluation, 12)
    logged = client.client.get_run(run.run_id).data.metrics
    left, right = markup.ocular
    apart = np.linalg.norm(target[:, left] - target[:, right], axis=1)
    assert logged["test/300w/nme_ocular"] == pytest.approx(float((500 / apart).mean()))
    assert logged.keys() == {f"test/300w/nme_{name}" for name in evaluation.errors}
    assert [a.path for a in client.client.list_artifacts(run.run_id, "evaluation")] == [
        "evaluation/300w.json"
    ]
    with pytest.raises(TrackingError, match="not found"):
        TrackedRun(client.uri, "0" * 32).log(evaluation, 12)


def test_a_store_that_is_gone_is_said_and_not_made_anew(tmp_path):
    with pytest.raises(TrackingError, match="no such file any more"):
        TrackedRun(f"sqlite:///{tmp_path}/mlflow.db", "0" * 32).curves()
    assert not list(tmp_path.iterdir())
    with pytest.raises(TrackingError, match="no MLflow server answers"):
        TrackedRun("http://127.0.0.1:9", "0" * 32).curves()


def test_a_run_is_noted_beside_its_results(tmp_path):
    assert tracked_run(str(tmp_path)) is None
    (tmp_path / "mlflow.json").write_text(json.dumps({"uri": "http://m", "run_id": "1"}))
    assert tracked_run(str(tmp_path)) == TrackedRun("http://m", "1")
