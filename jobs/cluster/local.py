"""A Ray of this process's own: on the loopback interface, and given as long to start as a busy machine needs."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psutil

from pipeline.errors import ClusterError, ConfigError

LIMIT = "LANDMARKS_RAY_START_S"
"""Environment variable: seconds that a local Ray may take to start."""
_LIMIT_S = 300.0
_STARTS = 3
_OBJECT_STORE_BYTES = 256 * 2**20
"""Only records, indices and small models pass through it; Ray's own default would take 30 % of the memory."""
_NOT_WANTED = ImportError("the dashboard is not wanted")


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

    with ExitStack() as stack:
        # Ray's switch for machines that are no part of a cluster: without it even 127.0.0.1 is replaced by the machine's own
        # address, and some of Ray's servers listen on all interfaces.
        stack.enter_context(environment(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0"))
        stack.enter_context(replaced(ray_constants, "ENABLE_RAY_CLUSTER", False))
        for attempt in range(_STARTS):
            port, dashboard_port = free_ports(2)
            # Ray's own helpers look their cluster up by address; with several on one machine they would find none.
            address = f"{ray.util.get_node_ip_address()}:{port}"
            stack.enter_context(environment(RAY_GCS_SERVER_PORT=str(port), RAY_ADDRESS=address))
            before = set(psutil.Process().children())
            try:
                with _patience(limit, deadline, dashboard):
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
                _end(set(psutil.Process().children()) - before)
                if time.monotonic() >= deadline:
                    raise ClusterError(
                        f"Ray did not start on this machine in {limit:g} s ({error}): on a busy machine, set the environment "
                        f"variable {LIMIT} to more seconds"
                    ) from error
                # Somebody may have taken a port since it was found free.
                if attempt + 1 == _STARTS or not isinstance(error, _RayletEndedError):
                    raise ClusterError(f"Ray could not be started on this machine: {error}") from error
        try:
            yield
        finally:
            ray.shutdown()


class _RayletEndedError(Exception):
    """Ray's node process has ended while it was waited for."""


@contextmanager
def _patience(limit: float, deadline: float, dashboard: bool) -> Iterator[None]:
    """Replace what Ray has no settings for (github.com/ray-project/ray/issues/65983).

    Its raylet ends after 15 s without word of the ports that its agents listen on, so we choose the ports and leave the word
    ourselves. Its driver gives the raylet 30 s, so we wait before it asks.
    """
    from ray._private import services, utils

    core: Any = importlib.import_module("ray._raylet")
    start_raylet, get_node = services.start_raylet, services.get_node
    served = (
        core.METRICS_AGENT_PORT_NAME,
        core.METRICS_EXPORT_PORT_NAME,
        core.DASHBOARD_AGENT_LISTEN_PORT_NAME,
    )

    def start_with_ports(*arguments: Any, **options: Any) -> Any:
        call = inspect.signature(start_raylet).bind(*arguments, **options)
        free = free_ports(1 + len(served))
        call.arguments["runtime_env_agent_port"] = free[0]
        # Without the dashboard nobody would ask the node's agent; Ray's small installation has one that serves nothing.
        ports = free[1:] if dashboard else [-1] * len(served)
        if dashboard:
            names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
            call.arguments.update(zip(names, ports, strict=True))
        said = zip((core.RUNTIME_ENV_AGENT_PORT_NAME, *served), (free[0], *ports), strict=True)
        for name, port in said:
            core.persist_port(call.arguments["session_dir"], call.arguments["node_id"], name, port)
        return start_raylet(*call.args, **call.kwargs)

    def wait_for_node(gcs_address: str, node_id: str) -> dict[str, Any]:
        while True:
            try:
                node: dict[str, Any] = get_node(gcs_address, node_id)
                return node
            except RuntimeError as error:  # it has not registered yet
                if not _raylet_lives():
                    raise _RayletEndedError(
                        "its raylet ended; see raylet.err in /tmp/ray/session_latest/logs"
                    ) from error
                if time.monotonic() >= deadline:
                    raise TimeoutError("its raylet was still starting") from error
                time.sleep(0.1)

    with ExitStack() as stack:
        stack.enter_context(replaced(services, "start_raylet", start_with_ports))
        stack.enter_context(replaced(services, "get_node", wait_for_node))
        if not dashboard:
            stack.enter_context(replaced(utils, "get_dashboard_dependency_error", lambda: _NOT_WANTED))
        wait_ms = str(int(1000 * limit))
        wait_s = str(int(limit) + 1)
        stack.enter_context(
            environment(RAY_agent_register_timeout_ms=wait_ms, RAY_gcs_server_port_wait_time_s=wait_s)
        )
        yield


def _raylet_lives() -> bool:
    return any(
        child.name() == "raylet" and child.status() != psutil.STATUS_ZOMBIE
        for child in psutil.Process().children()
    )


def _end(children: set[psutil.Process]) -> None:
    """Kill what a start that failed left running: Ray itself knows of it only once it is up."""
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=10)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set environment variables for the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Give a module's name another value for the block."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback interface that nobody listens on now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
