"""Joining a Ray cluster, or starting one on this machine for as long as it is needed."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.cluster.local import local_ray
from jobs.signals import heed_sigterm
from pipeline.errors import ClusterError


@contextmanager
def ray_session(cpus: int | None = None) -> Iterator[None]:
    """Be connected to Ray within the block.

    A connection that exists is used and kept. Otherwise the cluster of ``RAY_ADDRESS`` is joined, or, without
    one, a local Ray is started, and shut down at the end (``jobs.cluster.local``).

    Args:
        cpus: Size of a local Ray; default is what this process may use. A cluster has the size it has.

    Raises:
        ClusterError: No Ray could be joined or started.
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
    cpus = cpus or len(os.sched_getaffinity(0))
    with (
        _joined(address, worker_logs)
        if address
        else local_ray(cpus, dashboard=False, worker_logs=worker_logs)
    ):
        heed_sigterm()  # Ray has put a handler of its own in place
        yield


@contextmanager
def _joined(address: str, worker_logs: bool) -> Iterator[None]:
    import ray

    try:
        ray.init(address=address, logging_level=logging.WARNING, log_to_driver=worker_logs)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ClusterError(
            f"RAY_ADDRESS = {address}: that Ray cluster cannot be joined ({error}). Is it up, is this a machine of it, and is "
            "its token in RAY_AUTH_TOKEN, with RAY_AUTH_MODE=token? Without RAY_ADDRESS a Ray is started on this machine"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
