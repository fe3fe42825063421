"""Preparations that are ended at every stage: the same command again writes the same bytes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture
def preparation(tmp_path) -> Callable[[str], Path]:
    """Writes configs that prepare 1,500 images in 300-W's layout into folders of different names."""
    folder = tmp_path / "300w" / "afw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(1500):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{index:04d}.jpg")
        points = "\n".join(f"{x:.3f} {y:.3f}" for x, y in rng.uniform(20, 80, (68, 2)))
        (folder / f"{index:04d}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{points}\n}}\n")

    def write(name: str) -> Path:
        reader = {"reader": "w300", "root": str(folder.parent), "subsets": ["afw"]}
        one = {"name": "s", "role": "labelled", "reader": reader}
        crop = {"points": "landmarks", "size": 32}
        raw = {"out": str(tmp_path / name), "crop": crop, "min_face_px": 8, "samples_per_shard": 32}
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"prepare": raw | {"sets": [one]}}))
        return path

    return write


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=["ctrl-c", "sigterm", "kill -9"],
)
def test_a_preparation_ended_at_every_stage_writes_what_an_undisturbed_one_does(
    preparation, tmp_path, command, number, code
):
    command("prepare", str(preparation("whole")), "--workers", "0").finish()
    out = tmp_path / "ended"
    prepare = command("prepare", str(preparation("ended")), "--workers", "2")

    def chunks() -> int:
        return len(list(out.glob(".staging/s/*/chunk-*.json")))

    stages: dict[str, Callable[[], object]] = {
        "locked": out.exists,
        "Ray starts": lambda: prepare.child("gcs_server"),
        "workers start": lambda: prepare.child("ChunkWorker"),
        "another chunk is done": lambda: chunks() > found,
        "shards are written": lambda: any(out.glob("s/*.tar")),
    }
    for stage, reached in stages.items():
        found = chunks()
        prepare.start()
        prepare.until(reached)
        prepare.process.send_signal(number)
        assert prepare.ended(leaving=180)[0] == code, stage
        assert not (out / "s" / "manifest.json").exists(), stage
    prepare.finish()

    def written(name: str) -> dict[str, bytes]:
        return {f.name: f.read_bytes() for f in (tmp_path / name / "s").iterdir()}

    assert written("ended") == written("whole")
