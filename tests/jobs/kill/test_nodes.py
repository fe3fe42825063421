"""A cluster of two nodes that loses one: an elastic run goes on with the other, a fixed one waits for a new one."""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(1800)]

# The head, of one core; it says how many cores there are when asked, and ends with its standard input.
HEAD = """
import sys
from jobs.cluster.local import local_ray
with local_ray(1, dashboard=False, worker_logs=False):
    import ray
    print(">", ray.get_runtime_context().gcs_address, flush=True)
    for _ in sys.stdin:
        print(">", ray.cluster_resources().get("CPU", 0), flush=True)
"""


# The other, without "ray start", which gives up the loopback interface for the machine's own address.
OTHER = """
import sys
from ray._private.node import Node
from ray._private.parameter import RayParams
small = {"num_cpus": 1, "object_store_memory": 128 * 2**20, "dashboard_agent_listen_port": 0}
node = Node(RayParams(gcs_address=sys.argv[1], node_ip_address="127.0.0.1", **small), head=False, spawn_reaper=False)
sys.stdin.read()
"""


class TwoNodes:
    """Two raylets of a core each, as on two machines, on the loopback interface."""

    def __init__(self, environment: dict[str, str], folder: str) -> None:
        # A raylet gives its agent 15 s to start, which is not enough beside other tests.
        patient = {"RAY_agent_register_timeout_ms": "300000"}
        joined = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
        # Without it Ray would look for 127.0.0.1 at the machine's own address.
        self.environment = environment | joined | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        self._environment = self.environment | patient | {"RAY_TMPDIR": folder}
        self._head = self._start(sys.executable, "-c", HEAD, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.address = self._said()
        self._other: subprocess.Popen[str] | None = None

    def _start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            env=self._environment,
            text=True,
            start_new_session=True,
            stderr=subprocess.DEVNULL,
            **options,
        )

    def _said(self) -> str:
        assert self._head.stdout is not None
        # Ray has something to say there, too, when a node is lost.
        return next(line[2:].strip() for line in self._head.stdout if line.startswith("> "))

    def _cores(self) -> float:
        assert self._head.stdin is not None
        self._head.stdin.write("\n")
        self._head.stdin.flush()
        return float(self._said())

    def add(self) -> None:
        """A second node joins."""
        self._other = self._start(sys.executable, "-c", OTHER, self.address, stdin=subprocess.PIPE)
        deadline = time.monotonic() + 120
        while self._cores() < 2:
            assert time.monotonic() < deadline, "the second node did not join"
            time.sleep(0.5)

    def lose(self) -> None:
        """The second node is gone, with all its processes, as if its plug had been pulled."""
        assert self._other is not None
        _kill(self._other)
        self._other = None

    def close(self) -> None:
        if self._other is not None:
            _kill(self._other)
        family = psutil.Process(self._head.pid).children(recursive=True)
        self._head.communicate(timeout=30)
        for member in psutil.wait_procs(family, timeout=10)[1]:
            member.kill()


def _kill(process: subprocess.Popen[str]) -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    for member in [psutil.Process(process.pid), *family]:
        if member.is_running():
            member.kill()
    process.wait()
    psutil.wait_procs(family, timeout=30)


@pytest.fixture
def two_nodes(lone_landmarks) -> Iterator[TwoNodes]:
    # Sockets lie in it, and their paths may not be long.
    with tempfile.TemporaryDirectory(prefix="lm", dir="/tmp", ignore_cleanup_errors=True) as folder:
        nodes = TwoNodes(lone_landmarks.environment, folder)
        try:
            nodes.add()
            yield nodes
        finally:
            nodes.close()


@pytest.fixture
def training(two_nodes, make_training, lone_landmarks):
    joined = two_nodes.environment | {"RAY_ADDRESS": two_nodes.address}
    return make_training("killed", replace(lone_landmarks, environment=joined))


def test_an_elastic_run_goes_on_with_the_node_that_is_left(undisturbed, two_nodes, training):
    training.start("cluster.workers=2", "cluster.min_workers=1", "cluster.max_failures=3")
    training.until(lambda: training.last_step() >= 15)
    two_nodes.lose()
    code, output = training.ended(seconds=600)
    assert code == 0, output
    workers = training.saw(undisturbed)
    assert (workers[0], workers[-1]) == (2, 1)
    assert training.statuses() == ["FINISHED"]


def test_a_run_of_two_workers_waits_for_another_node_and_ends_at_the_same_numbers(
    two_nodes, training, make_training
):
    whole = make_training("together")
    whole.finish("cluster.workers=2")
    training.start("cluster.workers=2", "cluster.max_failures=3")
    training.until(lambda: training.last_step() >= 15)
    two_nodes.lose()
    two_nodes.add()  # the dead one is still counted for some seconds
    code, output = training.ended(seconds=600)
    assert code == 0, output
    for rank in (0, 1):
        training.is_as(whole.trace(rank), rank)
    assert training.statuses() == ["FINISHED"]
