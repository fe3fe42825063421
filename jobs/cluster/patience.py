"""Patience with a Ray that is starting: the limits that it has no settings for, replaced for the time of its start.

Ray's raylet ends after 15 s without word of the ports that its agents listen on, and its driver gives the raylet 30 s
(github.com/ray-project/ray/issues/65983). On a machine with more to do than it has cores, neither is enough.
"""

from __future__ import annotations

import importlib
import inspect
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil

_SERVED = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port")
"""Ports of the node's agent, as Ray's own functions and files name them."""
_NOT_WANTED = ImportError("the dashboard is not wanted")


class RayletEndedError(Exception):
    """Ray's node process has ended while it was waited for."""


@contextmanager
def patience(limit: float, deadline: float, *, dashboard: bool) -> Iterator[None]:
    """Give ``ray.init`` within the block as long as it needs.

    Args:
        limit: Seconds that a start may take.
        deadline: When they are over, on the monotonic clock.
        dashboard: Whether the node's agent serves anything; Ray's small installation has one that does not.

    Raises:
        RayletEndedError: Within the block, instead of Ray's own error.
        TimeoutError: Likewise, at the deadline.
    """
    from ray._private import services, utils

    start_raylet, get_node = services.start_raylet, services.get_node
    persist_port = importlib.import_module("ray._raylet").persist_port

    def start_with_ports(*arguments: Any, **options: Any) -> Any:
        # We choose the ports and leave the word that the raylet waits for: they are what the agents will be told to use.
        call = inspect.signature(start_raylet).bind(*arguments, **options)
        own, *served = free_ports(1 + len(_SERVED))
        chosen = {"runtime_env_agent_port": own}
        if dashboard:
            chosen |= dict(zip(_SERVED, served, strict=True))
        call.arguments.update(chosen)
        for name, port in (dict.fromkeys(_SERVED, -1) | chosen).items():
            persist_port(call.arguments["session_dir"], call.arguments["node_id"], name, port)
        return start_raylet(*call.args, **call.kwargs)

    def wait_for_node(gcs_address: str, node_id: str) -> dict[str, Any]:
        while True:
            try:
                node: dict[str, Any] = get_node(gcs_address, node_id)
                return node
            except RuntimeError as error:  # it has not registered yet
                if not _raylet_lives():
                    raise RayletEndedError(
                        "its raylet ended; see raylet.err in /tmp/ray/session_latest/logs"
                    ) from error
                if time.monotonic() >= deadline:
                    raise TimeoutError("its raylet was still starting") from error
                time.sleep(0.1)

    waits = {
        "RAY_agent_register_timeout_ms": str(int(1000 * limit)),
        "RAY_gcs_server_port_wait_time_s": str(int(limit) + 1),
    }
    with ExitStack() as stack:
        stack.enter_context(environment(**waits))
        stack.enter_context(replaced(services, "start_raylet", start_with_ports))
        stack.enter_context(replaced(services, "get_node", wait_for_node))
        if not dashboard:
            stack.enter_context(replaced(utils, "get_dashboard_dependency_error", lambda: _NOT_WANTED))
        yield


def _raylet_lives() -> bool:
    return any(
        child.name() == "raylet" and child.status() != psutil.STATUS_ZOMBIE
        for child in psutil.Process().children()
    )


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback interface that nobody listens on now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


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
