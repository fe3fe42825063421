"""One Ray for all commands of a session, with a job server that asks for a token; and commands that start their own."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from commands import Landmarks, clean_environment


@dataclass(frozen=True)
class JobCluster:
    """One node with a job server.

    Attributes:
        address: http://… of the job server.
        ray: Address of the cluster itself, for who joins it.
        token: What both ask for.
        environment: Of a process that may use the job server.
        head: Id of the process that started it.
    """

    address: str
    ray: str
    token: str
    environment: dict[str, str]
    head: int

    def client(self) -> Any:
        """Ray's own client."""
        from ray.job_submission import JobSubmissionClient

        return JobSubmissionClient(self.address, headers={"Authorization": f"Bearer {self.token}"})

    def landmarks(self, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
        """Run the command line; output and errors are kept apart."""
        return subprocess.run(
            [sys.executable, "-m", "jobs.cli", *arguments],
            cwd=cwd,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=400,
            stdin=subprocess.DEVNULL,
        )


# Ends with its standard input: with the tests' process, however that ends.
HEAD = """
import json, sys
from jobs.cluster.local import local_ray
with local_ray(2, dashboard=True, worker_logs=False):
    import ray
    from ray._private.utils import write_ray_address
    from ray._private.worker import get_dashboard_url
    # As "ray start" does: jobs ask this file which of several clusters on one machine is theirs.
    write_ray_address(ray.get_runtime_context().gcs_address)
    addresses = {"ray": ray.get_runtime_context().gcs_address, "jobs": f"http://{get_dashboard_url()}"}
    print(json.dumps(addresses), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="session")
def job_cluster() -> Iterator[JobCluster]:
    """Two cores, shared by all commands that are not killed: what a killed one leaves behind would be in the others' way."""
    token, clean = secrets.token_hex(16), clean_environment()
    # Sockets lie in it, and their paths may not be long.
    folder = tempfile.mkdtemp(prefix="lm", dir="/tmp")
    log = Path(folder) / "start.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD],
            env=clean | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_TMPDIR": folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        said = process.stdout.readline()  # type: ignore[union-attr]
        assert said, log.read_text()
        addresses = json.loads(said)
        yield JobCluster(
            addresses["jobs"], addresses["ray"], token, clean | {"RAY_AUTH_TOKEN": token}, process.pid
        )
    finally:
        _end(process, folder)


def _end(process: subprocess.Popen, folder: str) -> None:
    """Let it end; then kill what is left of it: the starter's children, and what names the cluster's own folder."""

    def ours() -> set[psutil.Process]:
        found = set()
        for candidate in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if folder in " ".join(candidate.cmdline()) or folder in candidate.environ().get(
                    "RAY_TMPDIR", ""
                ):
                    found.add(candidate)
        return found

    family = ours()
    with contextlib.suppress(psutil.NoSuchProcess):
        family.update(psutil.Process(process.pid).children(recursive=True))
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=20)
    for member in family | ours():
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def landmarks(job_cluster: JobCluster) -> Landmarks:
    """The command line, on the session's cluster."""
    joined = {
        "RAY_ADDRESS": job_cluster.ray,
        "RAY_AUTH_MODE": "token",
        # Without it Ray would look for 127.0.0.1 at the machine's own address.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    return Landmarks(job_cluster.environment | joined)


@pytest.fixture(scope="session")
def lone_landmarks() -> Landmarks:
    """The command line with no cluster to join: it starts a Ray of its own, which may be killed with it."""
    return Landmarks(clean_environment())
