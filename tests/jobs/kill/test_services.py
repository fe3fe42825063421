"""Trainings whose tracking server is away for a while."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import mlflow
import psutil
import pytest

from jobs.cluster.patience import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(1800)]
AWAY_S = 30


class Server:
    """An MLflow server on the loopback interface."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        store, artifacts = f"sqlite:///{folder}/server.db", f"{folder}/server-artifacts"
        options = {
            "host": "127.0.0.1",
            "port": port,
            "workers": 1,
            "backend-store-uri": store,
            "artifacts-destination": artifacts,
        }
        self._command = [sys.executable, "-m", "mlflow", "server"]
        self._command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 180
        while not self._answers():
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False

    def kill(self) -> None:
        if self._process is None:
            return
        process = psutil.Process(self._process.pid)
        for member in [process, *process.children(recursive=True)]:
            member.kill()
        self._process.wait()
        self._process = None


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    tracking = Server(tmp_path)
    tracking.start()
    yield tracking
    tracking.kill()


def test_a_tracking_server_that_is_away_for_a_while_misses_nothing(experiment, server, make_training):
    experiment["tracking"] = {"uri": server.address}
    training = make_training("tracked")
    training.start()
    training.until(lambda: training.last_step() >= 5)
    server.kill()
    time.sleep(AWAY_S)
    server.start()
    code, output = training.ended(seconds=600)
    assert code == 0, output
    assert training.statuses() == ["FINISHED"]
    client = mlflow.MlflowClient(tracking_uri=server.address)
    (run,) = client.search_runs([client.get_experiment_by_name("landmarks").experiment_id])
    every = training.raw["training"]["log_every"]
    logged = [metric.step for metric in client.get_metric_history(run.info.run_id, "train/loss")]
    assert logged == list(range(every, 37, every))
    assert client.list_artifacts(run.info.run_id, "models")
