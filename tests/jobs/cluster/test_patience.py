"""Agents may be later than Ray itself allows; whatever was replaced for the start is put back."""

from __future__ import annotations

import os

import pytest

from jobs.cluster.local import local_ray
from jobs.cluster.patience import environment, free_ports, patience


def test_ports_differ():
    assert len(set(free_ports(20))) == 20


def test_variables_are_set_for_the_block_alone(monkeypatch):
    monkeypatch.setenv("HELD", "before")
    monkeypatch.delenv("ABSENT", raising=False)
    with environment(HELD="within", ABSENT="within"):
        assert (os.environ["HELD"], os.environ["ABSENT"]) == ("within", "within")
    assert os.environ["HELD"] == "before"
    assert "ABSENT" not in os.environ


@pytest.mark.parametrize("dashboard", [False, True])
def test_ray_is_itself_again_afterwards(dashboard):
    from ray._private import services, utils

    def names() -> tuple:
        return services.start_raylet, services.get_node, utils.get_dashboard_dependency_error

    before = names()
    with patience(1.0, 0.0, dashboard=dashboard):
        assert sum(a is not b for a, b in zip(names(), before, strict=True)) == (2 if dashboard else 3)
    assert names() == before


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
