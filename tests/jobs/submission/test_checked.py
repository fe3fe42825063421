"""What goes along with a checked command: its id, its environment, its package."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jobs.cli import parse
from jobs.submission.checked import Submission, check_submission
from pipeline.errors import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    raw = {
        "name": "${oc.env:RUN,toy}",
        "data": {"train": "sets/train", "validation": "/abs/validation"},
        "model": {"name": "rcn", "width": 4},
    }
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments: str, job_id: str | None = None, **options: object) -> Submission:
    given: dict = {"variables": {}, "seen": {}, "root": lambda relative: {}} | options
    return check_submission("train", ["toy.yaml", *arguments], parse, job_id=job_id, **given)


def test_id_is_the_verb_and_the_name_or_what_is_said(folder):
    assert check("name=mine").identity == "train-mine"
    assert check(job_id="A.b_c-1").identity == "A.b_c-1"
    for wrong in ("a/b", "-a", "a b", "a" * 101):
        with pytest.raises(ConfigError, match="becomes part of file names"):
            check(job_id=wrong)


def test_config_is_read_as_the_job_will_see_it(folder, monkeypatch):
    monkeypatch.setenv("RUN", "of-this-machine")
    assert check(seen={"RUN": "of-the-cluster"}).request.name == "of-the-cluster"
    assert check(seen={"RUN": None}).request.name == "toy"
    assert check().request.name == "of-this-machine"


def test_environment_is_what_was_asked_for_the_root_and_our_own(folder):
    asked: list[str] = []

    def root(relative):
        asked.extend(relative)
        return {"LANDMARKS_ROOT": "/shared"}

    found = check(variables={"A": "1", "PYTHONUNBUFFERED": "0"}, root=root)
    assert "data.train = sets/train" in asked
    assert found.variables["A"] == "1"
    assert found.variables["LANDMARKS_ROOT"] == "/shared"
    assert found.variables["LANDMARKS_JOB_ID"] == "train-toy"
    assert found.variables["PYTHONUNBUFFERED"] == "0"  # the user's before ours
    assert found.metadata["landmarks.storage"] == "outputs/runs"
    assert found.files == [Path("toy.yaml")]
    assert found.size == (folder / "toy.yaml").stat().st_size


def test_rays_token_goes_nowhere(folder, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "swordfish")
    with pytest.raises(ConfigError, match="authentication token"):
        check(variables={"A": "swordfish"})
