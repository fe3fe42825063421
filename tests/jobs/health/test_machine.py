"""What a machine lacks is seen, and said with its remedy."""

from __future__ import annotations

import os
from collections import namedtuple
from importlib import metadata

import psutil
import pytest
import torch

import jobs.health.machine as module
from jobs.health.finding import Finding, Level
from jobs.health.machine import examine_machine


def levels(gpu: bool = False) -> dict[str, Finding]:
    return {finding.about: finding for finding in examine_machine(gpu)}


def test_where_the_tests_run_the_project_runs():
    found = levels()
    assert found["Python"].level is Level.OK
    assert found["packages"].level is Level.OK, found["packages"].seen
    assert metadata.version("ray") in found["packages"].seen


def test_a_finding_has_a_remedy_where_it_needs_one_and_only_there():
    with pytest.raises(ValueError, match="remedy"):
        Finding("memory", "none", Level.WARNING)
    with pytest.raises(ValueError, match="remedy"):
        Finding("memory", "enough", Level.OK, "buy more")


def test_packages_that_are_missing_or_too_old_are_named(monkeypatch):
    stated = ["ray[train]>=999", "no-such-thing>=1", "numpy>=2", 'h5py>=999; extra == "mat73"']
    monkeypatch.setattr(module.metadata, "requires", lambda _: stated)
    packages = levels()["packages"]
    assert packages.level is Level.FAILURE
    assert f"ray {metadata.version('ray')} is not >=999" in packages.seen
    assert "no-such-thing is missing" in packages.seen
    assert "numpy" not in packages.seen
    assert "h5py" not in packages.seen  # nobody asked for that extra
    assert "constraints.txt" in packages.remedy


def test_a_busy_small_machine(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(os, "getloadavg", lambda: (500.0, 0.0, 0.0))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: namedtuple("m", "available")(2**30))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(64 * 2**20, 0, 2**30))
    monkeypatch.setattr(module.resource, "getrlimit", lambda _: (1024, 4096))
    found = levels()
    for about in ("cores", "memory", "/dev/shm", "open files"):
        assert found[about].level is Level.WARNING, about
        assert found[about].remedy, about
    assert found["/dev/shm"].seen == "0.1 GiB"
    assert "ulimit -n 4096" in found["open files"].remedy


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu_matters_to_those_who_asked_for_one():
    assert levels(gpu=False)["GPU"].level is Level.OK
    wanted = levels(gpu=True)["GPU"]
    assert wanted.level is Level.FAILURE
    assert "cluster.gpu=false" in wanted.remedy
