"""How long a local Ray may take to start is a setting; a start that takes longer leaves nothing behind."""

from __future__ import annotations

import os

import psutil
import pytest

from jobs.cluster.local import LIMIT, local_ray, start_limit
from pipeline.errors import ClusterError, ConfigError


@pytest.mark.parametrize("text", ["soon", "", "0", "-3", "inf", "nan"])
def test_a_limit_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv(LIMIT, text)
    with pytest.raises(ConfigError, match="LANDMARKS_RAY_START_S = .* must be a positive number of seconds"):
        start_limit()


@pytest.mark.cluster
def test_a_start_that_takes_too_long_says_what_to_set_and_leaves_nothing(monkeypatch):
    import ray
    from ray._private import services

    def not_yet(_address: str, _node: str) -> None:
        raise RuntimeError("no such node")  # Ray's answer until the node has registered

    monkeypatch.setattr(services, "get_node", not_yet)
    monkeypatch.setenv(LIMIT, "2")
    before = set(psutil.Process().children(recursive=True)), dict(os.environ)
    with (
        pytest.raises(ClusterError, match=r"in 2 s .* LANDMARKS_RAY_START_S to more seconds"),
        local_ray(1, dashboard=False, worker_logs=False),
    ):
        pass
    assert not ray.is_initialized()
    assert set(psutil.Process().children(recursive=True)) <= before[0]
    left = (
        set(os.environ) - set(before[1]) - {"RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED"}
    )  # Ray sets these itself
    assert left <= {"RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"}


@pytest.mark.cluster
def test_what_a_killed_raylet_has_started_ends_with_the_block():
    before = set(psutil.Process().children(recursive=True))
    with local_ray(1, dashboard=False, worker_logs=False):
        family = set(psutil.Process().children(recursive=True)) - before
        (raylet,) = (process for process in family if process.name() == "raylet")
        agents = raylet.children()
        assert agents
        raylet.kill()
    assert not psutil.wait_procs(family, timeout=10)[1]
