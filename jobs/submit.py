"""``landmarks submit``: the same command as a Ray job. The same id is the same run: submitted again it resumes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from jobs.submission.checked import check_submission
from jobs.submission.client import JobServer, command, find_address, offer_token
from jobs.submission.following import Follower, note
from jobs.submission.identity import Existing, check_same, make_way
from jobs.submission.package import write_package
from jobs.submission.request import Parser
from jobs.submission.variables import (
    TRACKING_VARIABLE,
    asked_for,
    root_variable,
    ships_library,
    tracking_variable,
)
from pipeline.storage import ROOT_VARIABLE
from pipeline.words import counted


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
    parse: Parser,
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
        parse: The command line's way from a verb's arguments to its parameters.

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
    submission = check_submission(
        verb,
        arguments,
        parse,
        job_id=job_id,
        variables=variables,
        seen={TRACKING_VARIABLE: variables.get(TRACKING_VARIABLE), **variables},
        root=lambda relative: root_variable(root, where, relative),
    )
    request, identity, metadata = submission.request, submission.identity, submission.metadata
    variables = submission.variables

    server = JobServer(where)
    if server.version.split(".")[:2] != server.client_version.split(".")[:2]:
        note(f"the cluster runs Ray {server.version}, this machine {server.client_version}")
    existing = server.info(identity)
    if existing is not None and not existing.status.is_terminal():
        running = Existing(existing.status.value, existing.entrypoint, existing.metadata or {})
        check_same(running, request, identity, f"landmarks jobs stop {identity}")
        note(f"{identity} is {existing.status.value} already on {server.shown}")
        return Follower(server, identity).follow() if wait else 0
    if existing is not None:
        note(f"{identity} exists and is {existing.status.value}: submitted again, it goes on where it was")
        metadata |= make_way(server, existing, identity)
    note(
        f"package: {counted(len(submission.files), 'file')}, {submission.size / 2**20:.2f} MiB, of {Path.cwd()}"
    )
    if not ships_library():
        note("this folder holds no copy of the library: the cluster needs landmark-pipeline installed")
    if why_not:
        note(why_not)
    if ROOT_VARIABLE in variables and request.relative:
        origin = "" if root else " (through a tunnel to another machine, say --root)"
        note(f"relative paths start at {variables[ROOT_VARIABLE]}{origin}")
    with tempfile.TemporaryDirectory(prefix="landmarks-") as scratch:
        package = Path(scratch) / "package.zip"
        write_package(Path.cwd(), submission.files, package)
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


if __name__ == "__main__":
    from jobs.cli import main

    main("submit")
