"""A Ray of this process's own: on the loopback interface, and given as long to start as a busy machine needs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psutil

from jobs.cluster.patience import RayletEndedError, environment, free_ports, patience, replaced
from pipeline.errors import ClusterError, ConfigError

LIMIT = "LANDMARKS_RAY_START_S"
"""Environment variable: seconds that a local Ray may take to start."""
_LIMIT_S = 300.0
_LOCAL = "LANDMARKS_LOCAL_RAY"
"""Environment variable of all processes of such a Ray, and of its driver."""
_STARTS = 3
_ENDING_S = 3.0
_OBJECT_STORE_BYTES = 256 * 2**20
"""Only records, indices and small models pass through it; Ray's own default would take 30 % of the memory."""


def start_limit() -> float:
    """Seconds that a local Ray may take to start.

    Raises:
        ConfigError: ``LANDMARKS_RAY_START_S`` is no positive number.
    """
    text = os.environ.get(LIMIT, str(_LIMIT_S))
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise ConfigError(f"{LIMIT} = {text!r}: must be a positive number of seconds")
    return limit


def is_local() -> bool:
    """Whether this process works on a Ray that some command has started for itself: it will never have another node."""
    return _LOCAL in os.environ


@contextmanager
def local_ray(cpus: int, *, dashboard: bool, worker_logs: bool) -> Iterator[None]:
    """Start a Ray for the block, and stop it at its end. Nobody outside this machine can reach it.

    Raises:
        ClusterError: It did not start; in ``LANDMARKS_RAY_START_S`` seconds, if that is why.
    """
    limit = start_limit()
    deadline = time.monotonic() + limit
    # Nobody preempts the only node; the watcher is one process less to start in every run.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    import ray
    from ray._private import ray_constants
    from ray._private.node import Node

    with ExitStack() as stack:
        # Ray's switch for machines that are no part of a cluster: without it even 127.0.0.1 is replaced by the machine's own
        # address, and some of Ray's servers listen on all interfaces.
        stack.enter_context(environment(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", **{_LOCAL: "1"}))
        stack.enter_context(replaced(ray_constants, "ENABLE_RAY_CLUSTER", False))
        # A worker per core, started before anybody asks: most of what runs here brings an environment, and so takes none of them.
        stack.enter_context(environment(RAY_prestart_worker_first_driver="0"))
        # Two processes that would read what nobody prints, and scale what never grows.
        if not worker_logs:
            stack.enter_context(replaced(Node, "start_log_monitor", _not_started))
        if not dashboard:
            stack.enter_context(replaced(Node, "start_monitor", _not_started))
        for attempt in range(_STARTS):
            port, dashboard_port = free_ports(2)
            # Ray's own helpers look their cluster up by address; with several on one machine they would find none.
            address = f"{ray.util.get_node_ip_address()}:{port}"
            stack.enter_context(environment(RAY_GCS_SERVER_PORT=str(port), RAY_ADDRESS=address))
            before = _family()
            try:
                with patience(limit, deadline, dashboard=dashboard):
                    ray.init(
                        address="local",
                        num_cpus=cpus,
                        include_dashboard=dashboard,
                        dashboard_host="127.0.0.1",
                        dashboard_port=dashboard_port,
                        object_store_memory=_OBJECT_STORE_BYTES,
                        logging_level=logging.WARNING,
                        log_to_driver=worker_logs,
                    )
                break
            except Exception as error:
                _end(before)
                if time.monotonic() >= deadline:
                    raise ClusterError(
                        f"Ray did not start on this machine in {limit:g} s ({error}): on a busy machine, set the environment "
                        f"variable {LIMIT} to more seconds"
                    ) from error
                # Somebody may have taken a port since it was found free.
                if attempt + 1 == _STARTS or not isinstance(error, RayletEndedError):
                    raise ClusterError(f"Ray could not be started on this machine: {error}") from error
        ours = _family() - before
        try:
            yield
        finally:
            ray.shutdown()
            # What the raylet has started ends with it; but if it was killed, with nobody.
            left = psutil.wait_procs(ours, timeout=_ENDING_S)[1]
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, timeout=_ENDING_S)


def _not_started(_node: Any) -> None:
    """In place of a start."""


def _family() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _end(before: set[psutil.Process]) -> None:
    """Kill what a start that failed left running, and what that has started: Ray itself knows of it only once it is up."""
    # Who is killed may have started another since it was seen to have none.
    while left := _family() - before:
        for child in left:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(left, timeout=10)
