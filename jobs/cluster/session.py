"""Joining a Ray cluster, or starting one on this machine for as long as it is needed."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import ClusterError

_STARTS = 3
_OBJECT_STORE_BYTES = 256 * 2**20
"""Only records, indices and small models pass through it; Ray's own default would take 30 % of the memory."""


@contextmanager
def ray_session(cpus: int | None = None, *, dashboard: bool = False) -> Iterator[None]:
    """Be connected to Ray within the block.

    A connection that exists is used and kept. Otherwise the cluster of ``RAY_ADDRESS`` is joined, or, without
    one, a local Ray is started, and shut down at the end.

    Args:
        cpus: Size of a local Ray; default is what this process may use. A cluster has the size it has.
        dashboard: Start a local Ray with its dashboard, on this machine alone. It serves Ray's state API, by which Ray Train
            cleans up after a run whose driver was stopped.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray will stop hiding accelerators from workers that ask for none; until then it warns at every start.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray says at every start that tokens are in use, which is what anybody would wish.
    logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(logging.ERROR)
    import ray

    if ray.is_initialized():
        yield
        return
    # Ray's helpers repeat themselves there, twice a checkpoint; a worker's error reaches the driver as an exception anyway.
    worker_logs = bool(os.environ.get("LANDMARKS_WORKER_LOGS"))
    address = os.environ.get("RAY_ADDRESS")
    if address:
        ray.init(address=address, logging_level=logging.WARNING, log_to_driver=worker_logs)
    else:
        _start_local(cpus or len(os.sched_getaffinity(0)), dashboard, worker_logs)
    try:
        yield
    finally:
        ray.shutdown()
        if not address:
            os.environ.pop("RAY_ADDRESS", None)
            os.environ.pop("RAY_GCS_SERVER_PORT", None)


def _start_local(cpus: int, dashboard: bool, worker_logs: bool) -> None:
    import ray

    # Nobody preempts the only node; the watcher is one process less to start in every run.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    for attempt in range(_STARTS):
        # Ray's own helpers look their cluster up by address; with several on one machine they would find none.
        port = _free_port()
        os.environ["RAY_GCS_SERVER_PORT"] = str(port)
        os.environ["RAY_ADDRESS"] = f"{ray.util.get_node_ip_address()}:{port}"
        try:
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=dashboard,
                dashboard_host="127.0.0.1",
                dashboard_port=_free_port(),
                object_store_memory=_OBJECT_STORE_BYTES,
                logging_level=logging.WARNING,
                log_to_driver=worker_logs,
            )
            return
        except Exception as error:
            # Ray gives a node thirty seconds, which a busy machine can miss.
            ray.shutdown()
            if attempt + 1 == _STARTS or "timed out" not in str(error):
                raise ClusterError(f"Ray could not be started on this machine: {error}") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
