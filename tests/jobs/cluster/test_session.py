"""A Ray that is started is shut down; one that is found is left alone."""

from __future__ import annotations

import contextlib
import os
from ipaddress import ip_address

import psutil
import pytest

from jobs.cluster.session import ray_session


def listening(pid: int) -> set[str]:
    """Addresses that a process and all it started listen on."""
    top = psutil.Process(pid)
    found = set()
    for process in (top, *top.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            found |= {c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN}
    assert found
    return found


@pytest.mark.cluster
def test_starts_shuts_down_and_joins():
    import ray

    assert not ray.is_initialized()
    before = dict(os.environ)
    with ray_session(1):
        assert ray.cluster_resources()["CPU"] == 1
        assert all(ip_address(place).is_loopback for place in listening(os.getpid()))
        with ray_session(7):  # joins what is there
            assert ray.cluster_resources()["CPU"] == 1
        assert ray.is_initialized()
        with pytest.raises(ZeroDivisionError), ray_session():
            raise ZeroDivisionError
        assert ray.is_initialized()
    assert not ray.is_initialized()
    # What is started next in this process must not look for this cluster.
    assert {"RAY_ADDRESS", "RAY_GCS_SERVER_PORT", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"}.isdisjoint(
        set(os.environ) - set(before)
    )


@pytest.mark.cluster
def test_nobody_beyond_this_machine_reaches_a_dashboard(job_cluster):
    assert all(ip_address(place).is_loopback for place in listening(job_cluster.head))


@pytest.mark.parametrize(("asked", "shown"), [(None, False), ("", False), ("1", True)])
def test_workers_output_is_shown_on_request_on_a_cluster_too(monkeypatch, asked, shown):
    import ray

    started: list[dict] = []
    monkeypatch.setattr(ray, "init", lambda **options: started.append(options))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setenv("RAY_ADDRESS", "cluster:6379")
    monkeypatch.delenv("LANDMARKS_WORKER_LOGS", raising=False)
    if asked is not None:
        monkeypatch.setenv("LANDMARKS_WORKER_LOGS", asked)
    with ray_session():
        assert (started[0]["address"], started[0]["log_to_driver"]) == ("cluster:6379", shown)
