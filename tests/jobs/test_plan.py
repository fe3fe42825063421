"""``landmarks plan``: what it says of sets and of a run, beside what these then take."""

from __future__ import annotations

import re

import pytest
import yaml


@pytest.fixture
def drawn() -> dict:
    """Forty faces that the project draws."""
    return {"reader": "synthetic", "count": 40, "seed": 1, "size": 96}


def test_sets_are_planned_before_there_are_any(tmp_path, toy_experiment, drawn, in_process):
    toy_experiment["data"] |= {"train": str(tmp_path / "sets/few"), "validation": None}
    toy_experiment["training"]["select"] = "last"
    toy_experiment["prepare"] = {
        "out": str(tmp_path / "sets"),
        "crop": {"points": "landmarks", "size": 48},
        "min_face_px": 8,
        "sets": [{"name": "few", "role": "labelled", "reader": drawn}],
    }
    path = tmp_path / "few.yaml"
    path.write_text(yaml.safe_dump(toy_experiment))
    said = " ".join(in_process("plan", str(path), "--workers", "2").split())
    assert "prepare few 40 images, of which some 100% are kept" in said
    assert "on 2 cores" in said
    assert "training: not yet, its sets are not there" in said
    assert not (tmp_path / "sets").exists()
    # What it says of storage is what they then take.
    in_process("prepare", str(path), "--workers", "0")
    taken = sum(tar.stat().st_size for tar in (tmp_path / "sets/few").glob("*.tar"))
    number, unit = re.search(r"stored ([\d.]+) (KiB|MiB)", said).groups()  # type: ignore[union-attr]
    assert float(number) * {"KiB": 2**10, "MiB": 2**20}[unit] == pytest.approx(taken, rel=0.1)


@pytest.mark.slow
@pytest.mark.cluster
def test_a_run_is_planned_from_a_short_one_of_itself(tmp_path, toy_experiment, landmarks):
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(toy_experiment))
    said = " ".join(landmarks.run("plan", str(path), "--steps", "20").split())
    for row in ("train toy", "steps 12 of", "validation", "checkpoints", "memory a worker", "read"):
        assert row in said
    assert not (tmp_path / "runs").exists()
    landmarks.run("train", str(path))
    (newest, *_) = sorted((tmp_path / "runs/toy").glob("step-*"), reverse=True)
    taken = sum(file.stat().st_size for file in newest.rglob("*") if file.is_file())
    number, unit = re.search(r"checkpoints? of ([\d.]+) (KiB|MiB)", said).groups()  # type: ignore[union-attr]
    assert float(number) * {"KiB": 2**10, "MiB": 2**20}[unit] == pytest.approx(taken, rel=0.05)
