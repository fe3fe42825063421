"""A job's environment: no secrets, no files of the submitter's machine, and relative paths that start somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.submission.variables import (
    asked_for,
    own_variables,
    root_variable,
    ships_library,
    tracking_variable,
)
from pipeline.errors import ConfigError


def test_asked_for():
    assert asked_for(["A=1", "B=x=y", "EMPTY="]) == {"A": "1", "B": "x=y", "EMPTY": ""}
    for option, message in {
        "HF_TOKEN=hush": "looks like a secret",
        "U=http://me:hush@host": "an address with a password",
        "LANDMARKS_ROOT=/x": "use --root",
        "LANDMARKS_JOB_ID=x": "use --id",
        "hush": "NAME=VALUE",
        "hush hush=1": "NAME=VALUE",
    }.items():
        with pytest.raises(ConfigError, match=message) as caught:
            asked_for([option])
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "passed", "reason"),
    [
        ("", False, None),
        ("https://mlflow.example.org", True, None),
        ("https://me:hush@mlflow.example.org", False, "password"),
        ("sqlite:////home/me/mlflow.db", False, "a file of this machine"),
        ("./mlruns", False, "a file of this machine"),
    ],
)
def test_tracking(monkeypatch, uri, passed, reason):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    variables, why_not = tracking_variable()
    assert variables == ({"MLFLOW_TRACKING_URI": uri} if passed else {})
    assert (why_not is None) == (reason is None)
    assert reason is None or reason in why_not
    assert "hush" not in (why_not or "")


def test_where_relative_paths_start(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANDMARKS_ROOT", raising=False)
    away, here = "http://head:8265", "http://127.0.0.1:8265"
    relative = ["cluster.storage = outputs/runs"]
    assert root_variable("/shared", away, relative) == {"LANDMARKS_ROOT": "/shared"}
    assert root_variable("s3://bucket/x", away, relative) == {"LANDMARKS_ROOT": "s3://bucket/x"}
    assert root_variable(None, here, relative) == {"LANDMARKS_ROOT": str(tmp_path)}
    assert root_variable(None, away, []) == {}
    with pytest.raises(ConfigError, match=r"cluster.storage = outputs/runs.*--root /shared/FOLDER"):
        root_variable(None, away, relative)
    with pytest.raises(ConfigError, match="absolute path"):
        root_variable("shared", away, [])
    monkeypatch.setenv("LANDMARKS_ROOT", "/known")
    assert root_variable(None, away, relative) == {"LANDMARKS_ROOT": "/known"}


def test_own(monkeypatch, tmp_path):
    monkeypatch.chdir(Path(__file__).resolve().parents[3])
    monkeypatch.setattr("jobs.submission.variables.commit", lambda: {"commit": "c0ffee", "dirty": True})
    assert ships_library()
    found = own_variables("train-x")
    assert found["LANDMARKS_JOB_ID"] == "train-x"
    assert found["LANDMARKS_COMMIT"] == "c0ffee-dirty"
    # Elsewhere the cluster's own copy runs, whose commit is not ours to say.
    monkeypatch.chdir(tmp_path)
    assert not ships_library()
    assert "LANDMARKS_COMMIT" not in own_variables("train-x")
