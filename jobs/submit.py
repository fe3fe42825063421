"""``landmarks submit``: the same command as a Ray job. The same id is the same run: submitted again it resumes."""

from __future__ import annotations

import json
import re
import shlex
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobs.submission.client import JobServer, command, environment, find_address, offer_token
from jobs.submission.following import LOG_STARTS, Follower, log_starts, note
from jobs.submission.package import check_size, package_files, write_package
from jobs.submission.request import Request, check_request
from jobs.submission.secrets import ray_tokens, without_credentials
from jobs.submission.variables import (
    TRACKING_VARIABLE,
    asked_for,
    own_variables,
    root_variable,
    ships_library,
    tracking_variable,
)
from pipeline.errors import ClusterError, ConfigError, TrackingError
from pipeline.storage import ROOT_VARIABLE
from pipeline.training.tracking import absolute_uri

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SETTLE_S = 4.0
"""Ray looks after a job for a second or two beyond its end, and would take a new one of the same id for the old."""
VERB, NAME, CONFIG, COMMAND, TRACKING, STORAGE = (
    f"landmarks.{key}" for key in ("verb", "name", "config", "command", "tracking", "storage")
)


def submit(
    verb: str,
    arguments: Sequence[str],
    *,
    address: str | None,
    job_id: str | None,
    root: str | None,
    env: Sequence[str],
    cpus: float,
    gpus: float,
    memory_gib: float,
    wait: bool,
) -> int:
    """Run a verb as a Ray job, or follow, or resume, the job that has its id.

    Everything that can be wrong with the command is found before anything is sent.

    Args:
        verb: What to run.
        arguments: The verb's own.
        address: Of the cluster's job server; default from the environment.
        job_id: Submission id; default is VERB-NAME.
        root: Where relative paths start on the cluster.
        env: NAME=VALUE for the job.
        cpus: CPUs the driver reserves; 0 runs it on the head node, beside the job server.
        gpus: GPUs it reserves.
        memory_gib: Memory it reserves, GiB.
        wait: Follow the job to its end.

    Returns:
        Exit code: 0 if the job succeeded (or, without ``wait``, was submitted), else the job's own; 130 if it was stopped or
        left to itself.

    Raises:
        ConfigError: The command, its config, its environment or its package cannot work.
        ClusterError: The job server cannot be used, or the id belongs to another job.
    """
    where = find_address(address)
    offer_token()  # before anything imports Ray
    variables = asked_for(env)
    tracking, why_not = tracking_variable()
    variables = tracking | variables
    # As the job will see it: what it is not given, its config must not count on.
    with environment({TRACKING_VARIABLE: variables.get(TRACKING_VARIABLE), **variables}):
        request = check_request(verb, arguments)
    variables |= root_variable(root, where, request.relative)
    identity = job_id or f"{verb}-{request.name}"
    if _ID.fullmatch(identity) is None:
        raise ConfigError(
            f"--id {identity}: it becomes part of file names: letters, digits, '-', '_' and '.', at most 100"
        )
    variables = own_variables(identity) | variables
    files, size = _shipped(request)
    metadata = _metadata(request, variables)
    _refuse_tokens([request.entrypoint, *variables.values(), *metadata.values()])

    server = JobServer(where)
    if server.version.split(".")[:2] != server.client_version.split(".")[:2]:
        note(f"the cluster runs Ray {server.version}, this machine {server.client_version}")
    existing = server.info(identity)
    if existing is not None and not existing.status.is_terminal():
        _check_same(existing, request, identity)
        note(f"{identity} is {existing.status.value} already on {server.shown}")
        return Follower(server, identity).follow() if wait else 0
    if existing is not None:
        note(f"{identity} exists and is {existing.status.value}: submitted again, it goes on where it was")
        metadata |= _make_way(server, existing, identity)
    note(f"package: {len(files):,} file(s), {size / 2**20:.2f} MiB, of {Path.cwd()}")
    if not ships_library():
        note("this folder holds no copy of the library: the cluster needs landmark-pipeline installed")
    if why_not:
        note(why_not)
    if ROOT_VARIABLE in variables and request.relative:
        origin = "" if root else " (through a tunnel to another machine, say --root)"
        note(f"relative paths start at {variables[ROOT_VARIABLE]}{origin}")
    with tempfile.TemporaryDirectory(prefix="landmarks-") as scratch:
        package = Path(scratch) / "package.zip"
        write_package(Path.cwd(), files, package)
        server.submit(
            entrypoint=request.entrypoint,
            submission_id=identity,
            runtime_env={"working_dir": str(package), "env_vars": variables},
            metadata=metadata,
            entrypoint_num_cpus=cpus or None,
            entrypoint_num_gpus=gpus or None,
            entrypoint_memory=int(memory_gib * 2**30) or None,
        )
    note(f"submitted {identity} to {server.shown}; stop it with: {command(server, 'stop', identity)}")
    if not wait:
        note(f"follow it with: {command(server, 'follow', identity)}")
        return 0
    return Follower(server, identity).follow()


def _shipped(request: Request) -> tuple[list[Path], int]:
    """Files of the package and their bytes; the request's configs are among them."""
    files = package_files(Path.cwd())
    size = check_size(Path.cwd(), files)
    for config in request.configs:
        if config not in files:
            raise ConfigError(
                f"{config}: not in the package: a line of .gitignore or .landmarksignore, or one of the package's own rules, "
                f"leaves it out; bring it back with a line '!/{config.as_posix()}' in .landmarksignore"
            )
    return files, size


def _metadata(request: Request, variables: dict[str, str]) -> dict[str, str]:
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


def _refuse_tokens(texts: Sequence[str]) -> None:
    if any(token in text for token in ray_tokens() for text in texts):
        raise ConfigError(
            "Ray's authentication token is in the command or in --env, which everybody who sees the cluster's dashboard can "
            "read; the job needs no token of its own"
        )


def _check_same(existing: Any, request: Request, identity: str) -> None:
    """A running job is followed only if it is the very job that was asked for.

    Raises:
        ClusterError: It is another; the message shows the difference.
    """
    remedy = f"choose another name=… or --id, or stop it first: landmarks jobs stop {identity}"
    if existing.entrypoint != request.entrypoint:
        old, new = shlex.split(existing.entrypoint), shlex.split(request.entrypoint)
        only_old = shlex.join(word for word in old if word not in new) or "nothing else"
        only_new = shlex.join(word for word in new if word not in old) or "nothing else"
        raise ClusterError(
            f"job {identity} is {existing.status.value} with another command: it has {only_old}, you ask for {only_new}; {remedy}"
        )
    before = (existing.metadata or {}).get(CONFIG)
    if before != request.config_hash:
        raise ClusterError(
            f"job {identity} is {existing.status.value} with this command, but its config has changed since (hash {before}, now "
            f"{request.config_hash}); {remedy}"
        )


def _make_way(server: JobServer, existing: Any, identity: str) -> dict[str, str]:
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
