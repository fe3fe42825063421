"""What a job carries about itself, by which the same command given again follows it, resumes it, or is told apart from it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from jobs.submission.client import JobServer, environment
from jobs.submission.following import LOG_STARTS, log_starts
from jobs.submission.request import Request
from jobs.submission.secrets import without_credentials
from pipeline.errors import ClusterError, TrackingError
from pipeline.storage import ROOT_VARIABLE
from pipeline.training.tracking_store import absolute_uri

_SETTLE_S = 4.0
"""Ray looks after a job for a second or two beyond its end, and would take a new one of the same id for the old."""
VERB, NAME, CONFIG, COMMAND, TRACKING, STORAGE = (
    f"landmarks.{key}" for key in ("verb", "name", "config", "command", "tracking", "storage")
)


def job_metadata(request: Request, variables: dict[str, str]) -> dict[str, str]:
    """What the cluster shows of a job, and ``landmarks jobs list`` reads; nothing in it is a secret.

    Args:
        request: Checked.
        variables: The job's environment.
    """
    with environment({ROOT_VARIABLE: variables.get(ROOT_VARIABLE)}):
        # With an object store as root a SQLite file has no address; the cluster's own MLFLOW_TRACKING_URI may stand before it.
        tracking = None
        if request.tracking and ROOT_VARIABLE in variables:
            with suppress(TrackingError):
                tracking = absolute_uri(request.tracking)
    found = {
        VERB: request.verb,
        NAME: request.name,
        CONFIG: request.config_hash,
        COMMAND: shlex.join(["landmarks", request.verb, *request.arguments]),
        TRACKING: without_credentials(tracking or request.tracking or ""),
        STORAGE: without_credentials(request.storage or ""),
    }
    return {key: value for key, value in found.items() if value}


@dataclass(frozen=True)
class Existing:
    """A job that the cluster has already.

    Attributes:
        state: As the cluster says it.
        entrypoint: Its command line.
        metadata: As ``job_metadata`` made it.
    """

    state: str
    entrypoint: str
    metadata: Mapping[str, str]


def check_same(existing: Existing, request: Request, identity: str, stop: str) -> None:
    """A running job is followed only if it is the very job that was asked for.

    Args:
        existing: The running job.
        request: What is asked for.
        identity: The id of both.
        stop: The command that stops it, for the message.

    Raises:
        ClusterError: It is another; the message shows the difference.
    """
    remedy = f"choose another name=… or --id, or stop it first: {stop}"
    if existing.entrypoint != request.entrypoint:
        old, new = shlex.split(existing.entrypoint), shlex.split(request.entrypoint)
        only_old = shlex.join(word for word in old if word not in new) or "nothing else"
        only_new = shlex.join(word for word in new if word not in old) or "nothing else"
        raise ClusterError(
            f"job {identity} is {existing.state} with another command: it has {only_old}, you ask for {only_new}; {remedy}"
        )
    before = existing.metadata.get(CONFIG)
    if before != request.config_hash:
        raise ClusterError(
            f"job {identity} is {existing.state} with this command, but its config has changed since (hash {before}, now "
            f"{request.config_hash}); {remedy}"
        )


def make_way(server: JobServer, existing: Any, identity: str) -> dict[str, str]:
    """Forget a job that is over, so that its id is free; returns metadata that tells its log from the next one's."""
    starts = log_starts(existing)
    if existing.driver_node_id:
        try:
            starts[existing.driver_node_id] = len(server.logs(identity))
        except ClusterError:
            starts.pop(existing.driver_node_id, None)  # the node is gone, and its log with it
    time.sleep(_SETTLE_S)
    server.delete(identity)
    return {LOG_STARTS: json.dumps(starts)} if starts else {}
