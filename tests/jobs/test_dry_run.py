"""A dry run finds what the run itself would find, where it would look for it."""

import yaml

from pipeline.storage import ROOT_VARIABLE


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
    printed = in_process("train", str(config), "--dry-run").replace("\n", "")
    assert f"{root}/runs/toy" in printed
