"""``landmarks jobs``: what runs on the cluster, its logs, its end, and the MLflow run each job writes."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.submission.client import JobServer, environment, find_address
from jobs.submission.following import Follower, note, stop
from jobs.submission.secrets import scrub, without_credentials
from jobs.submission.variables import TRACKING_VARIABLE
from jobs.submit import TRACKING, VERB
from pipeline.errors import TrackingError
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.tracking import check_store

_COLOURS = {
    "SUCCEEDED": "green",
    "FAILED": "red",
    "RUNNING": "cyan",
    "PENDING": "yellow",
    "STOPPED": "magenta",
}
_WIDTH = 220
"""Columns of a table that is not printed on a terminal: nothing that reads it wants broken lines."""


def show_jobs(address: str | None) -> None:
    """Print every job the cluster remembers, newest first.

    Raises:
        ClusterError: The job server cannot be used.
    """
    server = JobServer(find_address(address))
    jobs = sorted(server.jobs(), key=lambda job: -(job.start_time or 0))
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    if not jobs:
        console.print(f"no jobs on {server.shown}", highlight=False)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "status", "started", "duration", "verb", "MLflow run"):
        table.add_column(column, overflow="fold", no_wrap=column in {"status", "started", "duration"})
    stores = _Stores()
    for job in jobs:
        status = job.status.value
        metadata = job.metadata or {}
        table.add_row(
            Text(job.submission_id or job.job_id or "—"),
            Text(status, style=_COLOURS.get(status, "")),
            _moment(job.start_time),
            _duration(job.start_time, job.end_time, job.status.is_terminal()),
            Text(metadata.get(VERB, "—")),
            Text(stores.run_of(job.submission_id, metadata.get(TRACKING))),
        )
    console.print(table)
    for problem in stores.problems:
        console.print(f"— {problem}", highlight=False, markup=False, soft_wrap=True)


def follow_job(job_id: str, address: str | None) -> int:
    """Print a job's log until it is over.

    Returns:
        The job's exit code; 130 if it was stopped or left to itself.

    Raises:
        ClusterError: No such job, or the job server cannot be used.
    """
    server = JobServer(find_address(address))
    server.known(job_id)
    return Follower(server, job_id).follow()


def stop_job(job_id: str, address: str | None) -> int:
    """Stop a job and wait until it has stopped.

    Returns:
        0: it does not run any more.

    Raises:
        ClusterError: No such job, or it does not stop.
    """
    server = JobServer(find_address(address))
    info = server.known(job_id)
    if info.status.is_terminal():
        note(f"{job_id} is over already: {info.status.value}")
        return 0
    info = stop(server, job_id)
    note(f"{job_id}: {info.status.value}. Submitted again under the same id, it resumes")
    return 0


def _moment(milliseconds: int | None) -> str:
    return datetime.fromtimestamp(milliseconds / 1000).strftime("%Y-%m-%d %H:%M:%S") if milliseconds else "—"


def _duration(start: int | None, end: int | None, over: bool) -> str:
    last = end if over else int(time.time() * 1000)
    if not start or not last:
        return "—"
    seconds = max((last - start) // 1000, 0)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}"


@dataclass
class _Stores:
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
