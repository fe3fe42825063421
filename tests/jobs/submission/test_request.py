"""The command is parsed and its config composed as the verb itself would, and comes out as the job's command line."""

from __future__ import annotations

import functools
import shlex
from pathlib import Path

import pytest
import yaml

from jobs.cli import parse
from jobs.settings import experiment
from jobs.submission import request as requests
from pipeline.errors import ConfigError
from pipeline.training.config.hashing import config_hash
from pipeline.training.identity import WHERE

check_request = functools.partial(requests.check_request, parse=parse)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    raw = {
        "extends": ["pieces/model.yaml"],
        "name": "toy",
        "data": {"train": "sets/train", "validation": "/abs/validation", "test": "s3://bucket/test"},
        "tracking": {"uri": "sqlite:///outputs/mlflow.db"},
        "tune": {"space": {"optimizer.lr": {"type": "float", "low": 1e-4, "high": 1e-2}}, "storage": "t"},
        "prepare": {
            "out": "outputs/data",
            "sets": [{"name": "a", "role": "labelled", "reader": {"reader": "w300", "root": "images"}}],
        },
    }
    (tmp_path / "pieces").mkdir()
    (tmp_path / "pieces" / "model.yaml").write_text("model: {name: rcn, width: 4}\n")
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train(folder):
    # An absolute path would mean nothing on the cluster.
    request = check_request("train", [str(folder / "toy.yaml"), "evaluation.subset=a b", "name=mine"])
    assert request.name == "mine"
    assert shlex.split(request.entrypoint) == [
        *("python", "-m", "jobs.cli", "train", "toy.yaml", "evaluation.subset=a b", "name=mine")
    ]
    assert request.configs == (Path("toy.yaml"), Path("pieces/model.yaml"))
    assert request.relative == (
        "data.train = sets/train",
        "tracking.uri = outputs/mlflow.db",
        "tracking.artifacts = outputs/mlartifacts",
        "cluster.storage = outputs/runs",
    )
    assert request.remote == ("data.test = s3://bucket/test",)
    assert request.config_hash == config_hash(
        experiment("toy.yaml", ["name=mine", "evaluation.subset=a b"]), WHERE
    )
    assert request.tracking == "sqlite:///outputs/mlflow.db"
    # Where it runs does not change what it is; what it computes does.
    assert check_request("train", ["toy.yaml", "name=mine", "cluster.workers=2"]).config_hash == (
        request.config_hash
    )
    assert check_request("train", ["toy.yaml", "name=mine", "seed=1"]).config_hash != request.config_hash


def test_nothing_relative(folder):
    overrides = ["data.train=/t", "tracking.uri=http://mlflow", "cluster.storage=s3://b/runs"]
    assert check_request("train", ["toy.yaml", *overrides, "--dry-run"]).relative == ()


def test_tune_has_its_own_storage_and_its_space_counts(folder):
    one = check_request("tune", ["toy.yaml"])
    assert one.storage == "t"
    assert "tune.storage = t" in one.relative
    assert one.config_hash != check_request("tune", ["toy.yaml", "tune.trials=3"]).config_hash
    assert one.config_hash != check_request("train", ["toy.yaml"]).config_hash
    with pytest.raises(ConfigError, match="no section 'scale'"):
        check_request("scale", ["toy.yaml"])


def test_prepare(folder):
    request = check_request("prepare", ["toy.yaml", "--overwrite"])
    assert (request.name, request.storage, request.tracking) == ("toy", "outputs/data", None)
    assert request.relative == ("prepare.out = outputs/data", "prepare.sets.a.reader.root = images")
    raw = yaml.safe_load((folder / "toy.yaml").read_text())
    (folder / "sets.yaml").write_text(yaml.safe_dump({"prepare": raw["prepare"]}))
    assert check_request("prepare", ["sets.yaml"]).name == "sets"


def test_evaluate_and_verify_are_named_by_what_they_measure(folder):
    request = check_request("evaluate", ["toy.yaml", "outputs/runs/x", "/abs/run", "--set", "name=b"])
    assert request.relative == (
        "data.train = sets/train",
        "cluster.storage = outputs/runs",
        "outputs/runs/x",
        "--out = outputs/evaluation",
    )
    assert request.configs == (Path("toy.yaml"), Path("pieces/model.yaml"))
    assert request.name == check_request("evaluate", list(request.arguments)).name
    assert request.name != check_request("evaluate", ["toy.yaml"]).name
    assert check_request("verify", ["toy.yaml", "/abs/set"]).relative == ("data.train = sets/train",)


def test_what_cannot_be_submitted(folder):
    outside = folder.parent / "outside.yaml"
    outside.write_text((folder / "toy.yaml").read_text())
    (folder / "sub").mkdir()
    (folder / "sub" / "up.yaml").write_text("extends: ../../outside.yaml\n")
    for verb, arguments, message in [
        ("predict", ["x"], "no verb 'predict' to submit: there are prepare"),
        ("evalute", ["x"], "did you mean 'evaluate'"),
        ("train", ["nowhere.yaml"], "no such config"),
        ("train", ["toy.yaml", "seed=x"], "key 'seed'"),
        ("train", ["toy.yaml", "--fast"], "landmarks train: No such option"),
        ("train", [str(outside)], "submit from a folder that holds it"),
        ("train", ["sub/up.yaml"], "submit from a folder that holds it"),
        ("train", ["toy.yaml", "tracking.uri=https://me:hush@host"], "an address with a password"),
    ]:
        with pytest.raises(ConfigError, match=message) as caught:
            check_request(verb, arguments)
        assert "hush" not in str(caught.value)
