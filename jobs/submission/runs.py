"""The MLflow runs that jobs write, looked up in whatever store each names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.submission.client import environment
from jobs.submission.secrets import scrub, without_credentials
from jobs.submission.variables import TRACKING_VARIABLE
from pipeline.errors import TrackingError
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.tracking_store import check_store


@dataclass
class Stores:
    """MLflow's stores, each opened once; one that cannot be is a note, not a failure."""

    clients: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def run_of(self, job_id: str | None, uri: str | None) -> str:
        """A job's MLflow run: name and id, and the address of its page where there is a server."""
        if not job_id or not uri:
            return "—"
        # A tracking server's logs can say more than its address: a stalled one must not hold the table up.
        with environment({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}):
            client = self._client(uri)
            if client is None:
                return "—"
            try:
                return _find_run(client, job_id, uri)
            except Exception as error:  # whatever a store of any kind may raise, the jobs are worth showing
                self._problem(uri, error)
                self.clients[uri] = None
                return "—"

    def _client(self, uri: str) -> Any | None:
        if uri not in self.clients:
            # The submitter's own address of the same server may carry what it takes to get in.
            own = os.environ.get(TRACKING_VARIABLE, "")
            self.clients[uri] = self._open(own if without_credentials(own) == uri else uri, uri)
        return self.clients[uri]

    def _open(self, uri: str, shown: str) -> Any | None:
        file = uri.removeprefix("sqlite:///")
        try:
            check_store(TrackingConfig(uri=uri))
            if file != uri and not Path(file).is_file():
                # MLflow would make an empty one.
                raise TrackingError("no such file on this machine")
            import mlflow

            return mlflow.MlflowClient(tracking_uri=uri)
        except Exception as error:  # as above
            self._problem(shown, error)
            return None

    def _problem(self, uri: str, error: Exception) -> None:
        text = scrub(str(error)).strip().splitlines()
        self.problems.append(
            f"MLflow runs in {uri} cannot be shown: {text[0] if text else type(error).__name__}"
        )


def _find_run(client: Any, job_id: str, uri: str) -> str:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(
        experiments, f"tags.`landmarks.job` = '{job_id}'", order_by=["attributes.start_time DESC"]
    )
    if not runs:
        return "—"
    # A search, a study: one run that the others belong to.
    top = [run for run in runs if "mlflow.parentRunId" not in run.data.tags] or list(runs)
    run = top[0]
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    text = f"{run.info.run_name} {run.info.run_id}{more}"
    if uri.startswith(("http://", "https://")):
        text += f" {uri.rstrip('/')}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    return text
