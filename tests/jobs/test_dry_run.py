"""A dry run finds what the run itself would find, where it would look for it."""

import sys

import yaml

from pipeline.storage import ROOT_VARIABLE, write_bytes


def test_relative_sets_start_where_the_root_says(toy_experiment, toy_sets, tmp_path, monkeypatch, in_process):
    """As on a cluster, where a job runs in a copy of the submitter's folder and the variable names shared storage."""
    root = toy_sets["train"].parent
    sets = {name: folder.relative_to(root).as_posix() for name, folder in toy_sets.items()}
    raw = toy_experiment | {"data": toy_experiment["data"] | sets, "cluster": {"storage": "runs"}}
    config = tmp_path / "toy.yaml"
    config.write_text(yaml.safe_dump(raw), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert "train/manifest.json: no such manifest" in in_process("train", str(config), "--dry-run", code=2)
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    # Folded to the width of the page.
    printed = "".join(in_process("train", str(config), "--dry-run").split())
    assert f"{root}/runs/toy" in printed


def test_sets_in_an_object_store(toy_experiment, toy_sets, tmp_path, monkeypatch, in_process, s3):
    for folder in toy_sets.values():
        write_bytes(f"s3://faces/{folder.name}/manifest.json", (folder / "manifest.json").read_bytes())
    sets = {name: name for name in toy_sets}
    tracking = {"uri": f"sqlite:///{tmp_path}/mlflow.db"}
    raw = toy_experiment | {"data": toy_experiment["data"] | sets, "cluster": {"storage": "runs"}}
    config = tmp_path / "toy.yaml"
    config.write_text(yaml.safe_dump(raw | {"tracking": tracking}), encoding="utf-8")
    monkeypatch.setenv(ROOT_VARIABLE, "s3://faces")
    assert "s3://faces/runs/toy" in "".join(in_process("train", str(config), "--dry-run").split())
    s3.failures = 10**6
    printed = in_process("train", str(config), "--dry-run", code=2)
    assert "s3://faces/train/manifest.json: the store failed 6 times" in printed


def test_a_store_s_client_that_is_missing_is_named_with_its_extra(
    toy_experiment, tmp_path, monkeypatch, in_process
):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    config = tmp_path / "toy.yaml"
    config.write_text(yaml.safe_dump(toy_experiment), encoding="utf-8")
    printed = in_process("train", str(config), "--dry-run", "data.train=s3://faces/train", code=2)
    assert "pip install 'landmark-pipeline[s3]'" in printed
    assert "Traceback" not in printed
