"""A Ray that is started is shut down; one that is found is left alone."""

from __future__ import annotations

import contextlib
import os
from ipaddress import ip_address

import psutil
import pytest

from jobs.cluster.session import ray_session
from pipeline.errors import ClusterError


def reachable(pid: int) -> list[str]:
    """Where a process and all it started listen for more than this machine."""
    top = psutil.Process(pid)
    places = set()
    for process in (top, *top.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "RayTrainWorker" in process.name():
                continue  # torch's store of a training that has just ended
            sockets = process.net_connections()
            # Ray's servers listen on IPv4 by way of IPv6.
            places |= {c.laddr.ip.removeprefix("::ffff:") for c in sockets if c.status == psutil.CONN_LISTEN}
    assert places
    return sorted(place for place in places if not ip_address(place).is_loopback)


@pytest.mark.cluster
def test_starts_shuts_down_and_joins():
    import ray

    assert not ray.is_initialized()
    before = dict(os.environ)
    with ray_session(1):
        assert ray.cluster_resources()["CPU"] == 1
        assert reachable(os.getpid()) == []
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
    assert reachable(job_cluster.head) == []


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


def test_a_cluster_that_is_not_there_is_named_with_what_to_look_at(monkeypatch):
    import ray

    def away(**_: object) -> None:  # after minutes, in truth
        raise ConnectionError("Failed to connect to Ray cluster at 127.0.0.1:9")

    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    monkeypatch.setattr(ray, "init", away)
    with (
        pytest.raises(ClusterError, match=r"RAY_ADDRESS = 127.0.0.1:9: .*Failed to connect.* RAY_AUTH_TOKEN"),
        ray_session(),
    ):
        pass
