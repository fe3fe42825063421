"""The table of a cluster's jobs."""

from __future__ import annotations

import sys
import time
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.submission.client import JobServer
from jobs.submission.identity import TRACKING, VERB
from jobs.submission.runs import Stores

_COLOURS = {
    "SUCCEEDED": "green",
    "FAILED": "red",
    "RUNNING": "cyan",
    "PENDING": "yellow",
    "STOPPED": "magenta",
}
_WIDTH = 220
"""Columns of a table that is not printed on a terminal: nothing that reads it wants broken lines."""


def show_jobs(server: JobServer) -> None:
    """Print every job the cluster remembers, newest first, with its MLflow run.

    Raises:
        ClusterError: The job server cannot be used.
    """
    jobs = sorted(server.jobs(), key=lambda job: -(job.start_time or 0))
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    if not jobs:
        console.print(f"no jobs on {server.shown}", highlight=False)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "status", "started", "duration", "verb", "MLflow run"):
        table.add_column(column, overflow="fold", no_wrap=column in {"status", "started", "duration"})
    stores = Stores()
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


def _moment(milliseconds: int | None) -> str:
    return datetime.fromtimestamp(milliseconds / 1000).strftime("%Y-%m-%d %H:%M:%S") if milliseconds else "—"


def _duration(start: int | None, end: int | None, over: bool) -> str:
    last = end if over else int(time.time() * 1000)
    if not start or not last:
        return "—"
    seconds = max((last - start) // 1000, 0)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}"
