"""Preparing for real: on Ray, killed, repeated, out of disk, with bad images among the good."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.cluster.session import ray_session
from jobs.prepare import prepare
from pipeline.errors import ConfigError, DataError, OwnedError, ShardError, StorageError
from pipeline.shards.manifest import SampleMeta, load_manifest
from pipeline.shards.prepare_config import PrepareConfig
from pipeline.shards.read import iterate_shard
from pipeline.shards.staging import locked
from pipeline.shards.verify import verify

ROOT = Path(__file__).resolve().parents[2]


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".staging" not in path.parts
    }


def states(folder):
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in folder.rglob("*.*") if p.is_file()}


@pytest.fixture(scope="module")
def w300(tmp_path_factory):
    """300 faces in 300-W's layout: three chunks."""
    folder = tmp_path_factory.mktemp("data") / "300w" / "afw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(300):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{index:03d}.jpg")
        points = "\n".join(f"{x:.3f} {y:.3f}" for x, y in rng.uniform(20, 80, (68, 2)))
        (folder / f"{index:03d}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{points}\n}}\n")
    return folder.parent


def config(w300, out, **changes):
    raw = {
        "out": str(out),
        "crop": {"points": "landmarks", "size": 32},
        "samples_per_shard": 64,
        "min_face_px": 8,
        "sets": [
            {
                "name": "train",
                "role": "labelled",
                "reader": {"reader": "w300", "root": str(w300), "subsets": ["afw"]},
                "validation": {"share": 0.1, "drop_near_duplicates": False},
            }
        ],
    }
    return PrepareConfig.model_validate(raw | changes)


@pytest.mark.cluster
def test_bytes_do_not_depend_on_the_number_of_workers(w300, tmp_path):
    prepare(config(w300, tmp_path / "0"), workers=0)
    with ray_session(2):  # prepare uses the Ray it finds, and leaves it running
        prepare(config(w300, tmp_path / "1"), workers=1)
        prepare(config(w300, tmp_path / "2"), workers=2)
    here, one, two = (contents(tmp_path / str(workers)) for workers in (0, 1, 2))
    assert here == one == two
    assert {name.split("/")[0] for name in here} == {"train", "validation"}


def test_what_is_written(w300, tmp_path, capsys):
    train, validation = prepare(config(w300, tmp_path), workers=0)
    assert (train.samples, validation.samples) == (270, 30)
    assert [shard.samples for shard in train.shards] == [64, 64, 64, 64, 14]
    assert train == load_manifest(str(tmp_path / "train"))
    assert (train.dataset, train.subset, train.attributes) == ("300w", None, ())
    names = [
        SampleMeta.model_validate_json(s.json).image
        for shard in train.shards
        for s in iterate_shard(str(tmp_path / "train" / shard.path))
    ]
    assert names == sorted(names)
    assert train.statistics["landmark_placed_share"] == 1
    assert not (tmp_path / ".staging" / "train").exists()
    report = verify([str(tmp_path / "train"), str(tmp_path / "validation")])
    # Random points are no faces: left and right mean nothing here, everything else must hold.
    assert all("eye" in f.message or "mirrored" in f.message for f in report.errors), report.errors
    assert "270 samples" in capsys.readouterr().out


def test_second_run_changes_nothing(w300, tmp_path, capsys):
    prepare(config(w300, tmp_path), workers=0)
    before = states(tmp_path)
    prepare(config(w300, tmp_path), workers=0)
    assert states(tmp_path) == before
    assert capsys.readouterr().out.count("up to date") == 2


def test_a_lost_shard_is_written_again(w300, tmp_path):
    prepare(config(w300, tmp_path), workers=0)
    before = contents(tmp_path)
    next((tmp_path / "train").glob("*-000002.tar")).unlink()
    prepare(config(w300, tmp_path), workers=0)
    assert contents(tmp_path) == before


def test_another_config_needs_permission_and_then_replaces_cleanly(w300, tmp_path):
    prepare(config(w300, tmp_path), workers=0)
    before = contents(tmp_path)
    other = config(w300, tmp_path, crop={"points": "landmarks", "size": 40})
    with pytest.raises(
        ConfigError, match=r"train/manifest\.json: prepared from another config .*--overwrite"
    ):
        prepare(other, workers=0)
    assert contents(tmp_path) == before
    prepare(other, workers=0, overwrite=True)
    fresh = tmp_path / "fresh"
    prepare(other.model_copy(update={"out": str(fresh)}), workers=0)
    after = {name: content for name, content in contents(tmp_path).items() if not name.startswith("fresh")}
    assert after == contents(fresh)


SLOW_READER = '''
import os, time
from dataclasses import dataclass
import numpy as np
from pipeline.datasets.face import FaceImage, Annotation
from pipeline.markup import load_markup

@dataclass(frozen=True)
class Slow:
    """Writes down that it was loaded; from number 128 on it waits for permission."""
    folder: str
    index: int
    source = "slow"
    @property
    def name(self):
        return f"{self.index:04d}"
    def load(self):
        while self.index >= 128 and not os.path.exists(f"{self.folder}/go"):
            time.sleep(0.05)
        with open(f"{self.folder}/loads", "a") as file:
            file.write(f"{self.index}\\n")
        rng = np.random.default_rng(self.index)
        points = rng.uniform(10, 50, (68, 2))
        image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        return FaceImage(image, Annotation(points, np.ones(68, dtype=bool)), b"")

class Reader:
    def __init__(self, folder):
        self.folder = folder
        self.markup = load_markup("ibug68")
    def records(self):
        return [Slow(self.folder, index) for index in range(384)]

READER = Reader
'''

DRIVER = """
import json, sys
from jobs.prepare import prepare
from pipeline.shards.prepare_config import PrepareConfig
prepare(PrepareConfig.model_validate(json.loads(sys.argv[1])), workers=2)
"""


@pytest.mark.cluster
def test_killed_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    modules, data = tmp_path / "modules", tmp_path / "data"
    (modules / "slow_set").mkdir(parents=True)
    data.mkdir()
    (modules / "slow_set" / "__init__.py").touch()
    (modules / "slow_set" / "faces.py").write_text(SLOW_READER)
    monkeypatch.syspath_prepend(modules)
    raw = {
        "out": str(tmp_path / "killed"),
        "crop": {"points": "landmarks", "size": 32},
        "min_face_px": 8,
        "sets": [
            {"name": "s", "role": "labelled", "reader": {"reader": "slow_set.faces", "folder": str(data)}}
        ],
    }
    env = os.environ | {"PYTHONPATH": f"{modules}{os.pathsep}{ROOT}"}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, json.dumps(raw)],
        env=env,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        staged = tmp_path / "killed" / ".staging" / "s"
        deadline = time.monotonic() + 120
        while not list(staged.glob("*/chunk-000000.json")):  # the others wait
            assert driver.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert not (tmp_path / "killed" / "s" / "manifest.json").exists()
    first = (data / "loads").read_text().split()
    assert set(map(int, first)) == set(range(128))

    (data / "go").touch()
    prepare(PrepareConfig.model_validate(raw), workers=0)
    again = (data / "loads").read_text().split()[len(first) :]
    assert not set(map(int, again)) & set(range(128))

    prepare(PrepareConfig.model_validate(raw | {"out": str(tmp_path / "whole")}), workers=0)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.fixture
def unreadable(w300, tmp_path):
    """A folder of 40 images, 2 of them cut short, and a config that takes any of them."""
    import shutil

    folder = tmp_path / "300w" / "afw"
    folder.mkdir(parents=True)
    for index in range(40):
        for suffix in (".jpg", ".pts"):
            shutil.copy(w300 / "afw" / f"{index:03d}{suffix}", folder)
    for name in ("003.jpg", "017.jpg"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
    raw = config(folder.parent, tmp_path / "out").model_dump()
    raw["sets"][0]["validation"] = None
    return raw


def test_truncated_images_are_counted_listed_and_not_fatal(unreadable, tmp_path):
    (manifest,) = prepare(PrepareConfig.model_validate(unreadable), workers=0)
    assert manifest.samples == 38
    assert manifest.rejected == {"unreadable": 2}
    listed = [
        json.loads(line) for line in (tmp_path / "out" / "train" / "rejected.jsonl").read_text().splitlines()
    ]
    assert [(entry["name"], entry["reason"]) for entry in listed] == [
        ("afw/003.jpg", "unreadable"),
        ("afw/017.jpg", "unreadable"),
    ]
    assert "damaged image" in listed[0]["detail"]


def test_too_many_rejects_stop_with_the_reasons(unreadable, tmp_path):
    with pytest.raises(
        DataError, match=r"set 'train': 2 of 40 images left out \(2 unreadable\).*'max_reject_share'"
    ):
        prepare(PrepareConfig.model_validate(unreadable | {"max_reject_share": 0.04}), workers=0)
    assert not (tmp_path / "out" / "train" / "manifest.json").exists()


@pytest.mark.cluster
def test_full_disk_in_a_worker_is_a_clear_error_and_leaves_nothing_half_written(w300, tmp_path, landmarks):
    raw = config(w300, tmp_path / "out", crop={"points": "landmarks", "size": 80}).model_dump_json()
    # The worker's limit on file sizes stands for a disk that fills up under it.
    script = f"""
import resource, signal, sys
import jobs.cluster.prepare_pool as module
from jobs.prepare import prepare
from pipeline.errors import StorageError
from pipeline.shards.prepare_config import PrepareConfig

class Limited(module.ChunkWorker):
    def run(self, *arguments):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
        return super().run(*arguments)

module.ChunkWorker = Limited
try:
    prepare(PrepareConfig.model_validate_json({raw!r}), workers=1)
except StorageError as error:
    print("StorageError:", error)
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=landmarks.environment,
    )
    assert "StorageError: " in run.stdout, run.stderr
    assert "the disk is full" in run.stdout
    left = [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert not left


def test_full_disk_is_foreseen(w300, tmp_path, monkeypatch):
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(StorageError, match="0 MiB free, but preparing 'train' needs about"):
        prepare(config(w300, tmp_path / "out"), workers=0)


def test_wrong_input_fails_before_anything_is_started(w300, tmp_path):
    raw = config(w300, tmp_path / "out").model_dump()
    raw["sets"][0]["reader"]["root"] = str(tmp_path / "nowhere")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        prepare(PrepareConfig.model_validate(raw))
    assert not (tmp_path / "out").exists()
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(StorageError, match="file/out/.staging: cannot write: Not a directory"):
        prepare(config(w300, blocked / "out"), workers=0)


def test_two_preparations_at_once_are_refused(w300, tmp_path):
    with (
        locked(str(tmp_path)),
        pytest.raises(
            OwnedError, match=rf"preparation into {tmp_path} is worked on already, by process {os.getpid()}"
        ),
    ):
        prepare(config(w300, tmp_path), workers=0)
    prepare(config(w300, tmp_path), workers=0)
    assert not (tmp_path / ".staging").exists()


def test_altered_chunk_is_noticed(w300, tmp_path, monkeypatch):
    import jobs.prepare as module

    monkeypatch.setattr(module, "assemble", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        prepare(config(w300, tmp_path), workers=0)
    monkeypatch.undo()
    chunk = next(tmp_path.glob(".staging/train/*/chunk-000001.tar"))
    chunk.write_bytes(chunk.read_bytes()[:9000])
    with pytest.raises(ShardError, match=r"chunk-000001\.tar: the tar is truncated"):
        prepare(config(w300, tmp_path), workers=0)


def test_copies_of_test_images_are_left_out(w300, tmp_path):
    """A labelled set stands in for the unlabelled one: without a detector its squares come from landmarks."""
    raw = config(w300, tmp_path / "out").model_dump()
    test = raw["sets"][0] | {"name": "test", "split": "test", "validation": None}
    train = raw["sets"][0] | {"validation": None, "drop_near_duplicates_of": ["test"]}
    with pytest.raises(
        DataError,
        match=r"300 of 300 images left out \(300 near_duplicate\), all that there are; they repeat ",
    ):
        prepare(PrepareConfig.model_validate(raw | {"sets": [test, train], "max_reject_share": 1}), workers=0)
