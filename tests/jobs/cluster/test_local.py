"""How long a local Ray may take to start is a setting; a start that takes longer leaves nothing behind."""

from __future__ import annotations

import os

import psutil
import pytest

from jobs.cluster.local import LIMIT, free_ports, local_ray, start_limit
from pipeline.errors import ClusterError, ConfigError


@pytest.mark.parametrize("text", ["soon", "", "0", "-3", "inf", "nan"])
def test_a_limit_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv(LIMIT, text)
    with pytest.raises(ConfigError, match="LANDMARKS_RAY_START_S = .* must be a positive number of seconds"):
        start_limit()


def test_ports_differ():
    assert len(set(free_ports(20))) == 20


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
    assert set(os.environ) - set(before[1]) <= {"RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"}


LATE = """
import os, sys, time
if any("agent" in word and word.endswith(".py") for word in sys.orig_argv):
    time.sleep(35)
"""


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("dashboard", [False, True])
def test_agents_may_be_later_than_ray_itself_allows(tmp_path, monkeypatch, dashboard):
    import ray

    (tmp_path / "sitecustomize.py").write_text(LATE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with local_ray(1, dashboard=dashboard, worker_logs=False):
        assert ray.get(ray.remote(lambda: 6 * 7).remote()) == 42
