"""Fixtures shared by all tests."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from pipeline.shards.manifest import CropPolicy, Manifest, SampleMeta, dump_manifest
from pipeline.shards.read import RawSample
from pipeline.shards.write import encode_meta, sample_key, write_shard
from pipeline.storage import write_text

# Whose tests are in folders below; what this file is made of lies beside it.
sys.path.insert(0, str(Path(__file__).parent))
import pages

# A busy machine is no failure.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    # Two cores in continuous integration; oversubscribed threads make every test slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Whatever a shell starts in the background ignores Ctrl-C, and so do its children; tests type it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(SecondsPerFolder())


class SecondsPerFolder:
    """Says at the end where the time went: seconds of a core per folder, whichever worker spent them."""

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()
        self._tests: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        folder = "/".join(Path(report.nodeid.partition("::")[0]).parent.parts[:3])
        self._spent[folder] += report.duration
        self._tests[folder] += report.when == "call"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if len(self._spent) > 1:
            terminalreporter.section("seconds per folder")
            for folder, seconds in self._spent.most_common():
                terminalreporter.write_line(f"{seconds:7.0f} s {self._tests[folder]:5d} tests  {folder}")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test draws the same numbers alone, in any order and beside any others."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _whole_floats() -> Iterator[None]:
    """Rounding is a setting of the process: the test that leaves it changed fails, not the hundreds after it."""
    yield
    flushed = sys.float_info.min / 2 == 0.0
    if flushed:
        torch.set_flush_denormal(False)
    assert not flushed, "torch.set_flush_denormal(True) was left on in the tests' process"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real faces (300-W in its official layout, unlabelled images); skips where there is none."""
    root = Path(
        os.environ.get("LANDMARKS_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    )
    if not (root / "300w").is_dir():
        pytest.skip(
            f"no real faces at {root}: set LANDMARKS_REAL_DATA to a folder holding 300w/ and unlabelled/"
        )
    return root


@pytest.fixture
def nothing_outside(tmp_path: Path) -> Callable[[str], None]:
    """Asserts that a page fits a phone and a desk; skips where there is no browser to ask."""
    program = pages.browser()
    if program is None:
        pytest.skip("no Chromium or Chrome on the path: set LANDMARKS_BROWSER to one")

    def check(page: str) -> None:
        for width in pages.WIDTHS:
            assert pages.outside(program, page, width, tmp_path) == [], f"{width} px"

    return check


def _toy_face(rng: np.random.Generator, size: int, shape_K2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A bright blob with the mean shape's dots on it, jittered in place and scale: learnable in seconds."""
    scale = size * rng.uniform(0.45, 0.6)
    points = shape_K2 * scale + size / 2 + rng.normal(0, size * 0.04, 2)
    y, x = np.mgrid[:size, :size]
    image = np.full((size, size, 3), rng.integers(20, 120, 3), dtype=np.float64)
    centre = points.mean(axis=0)
    face = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (0.5 * scale) ** 2)[..., None]
    image += face * rng.uniform(60, 120, 3)
    for px, py in points:
        image -= 60 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 2.0)[..., None]
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8), points


def _mean_shape() -> np.ndarray:
    """(68, 2) a plausible ibug68 shape in a unit box around 0."""
    t = np.linspace(-1, 1, 17)
    jaw = np.stack([t * 0.5, 0.5 - 0.6 * np.abs(t) ** 2.5], axis=1)

    def ring(cx: float, cy: float, rx: float, ry: float, n: int) -> np.ndarray:
        a = np.pi + np.arange(n) * 2 * np.pi / n
        return np.stack([cx + rx * np.cos(a), cy + ry * np.sin(a)], axis=1)

    brow = np.linspace(-0.42, -0.12, 5)
    left = np.stack([brow, np.full(5, -0.32)], axis=1)
    bridge = np.stack([np.zeros(4), np.linspace(-0.2, 0.08, 4)], axis=1)
    base = np.stack([np.linspace(-0.1, 0.1, 5), np.full(5, 0.14)], axis=1)
    eyes = [ring(-0.24, -0.18, 0.09, 0.04, 6), ring(0.24, -0.18, 0.09, 0.04, 6)]
    right = left[::-1] * (-1, 1)
    return np.concatenate(
        [jaw, left, right, bridge, base, *eyes, ring(0, 0.3, 0.18, 0.08, 12), ring(0, 0.3, 0.12, 0.04, 8)]
    )


def write_toy_set(
    folder: Path,
    count: int,
    *,
    seed: int = 0,
    role: str = "labelled",
    split: str = "train",
    size: int = 80,
    samples_per_shard: int = 16,
    name: str = "toy",
) -> Path:
    """Write a prepared set of toy faces: real shards, a real manifest, no preparation."""
    rng = np.random.default_rng(seed)
    shape = _mean_shape()
    policy = CropPolicy(points="landmarks", side_factor=3.0, size=size, jpeg_quality=95)
    samples = []
    for index in range(count):
        # Heads of different widths, from a generator of their own: shapes differ by more than place and size.
        width = np.random.default_rng([seed, index]).uniform(0.85, 1.15)
        image, points = _toy_face(rng, size, shape * (width, 1.0))
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=95)
        file_name = f"{index:06d}.png"
        key = sample_key(f"{name}{seed}", file_name)
        meta = SampleMeta(
            key=key,
            source=name,
            image=file_name,
            width=size * 2,
            height=size * 2,
            left=10.0,
            top=6.0,
            side=size * 1.5,
            size=size,
            points=[tuple(p) for p in ((points + 0.5) * 1.5 - 0.5 + (10.0, 6.0)).tolist()]
            if role == "labelled"
            else None,
            visible=[True] * 68 if role == "labelled" else None,
            attributes={"odd": index % 2, "rare": int(index % 7 == 0)} if role == "labelled" else {},
        )
        samples.append(RawSample(key, buffer.getvalue(), encode_meta(meta)))
    shards = [
        write_shard(
            str(folder / f"shard-{i // samples_per_shard:06d}.tar"), samples[i : i + samples_per_shard]
        )
        for i in range(0, count, samples_per_shard)
    ]
    manifest = Manifest(
        name=name,
        role=role,
        split=split,
        dataset=name,
        markup="ibug68" if role == "labelled" else None,
        num_landmarks=68 if role == "labelled" else 0,
        crop=policy,
        samples=count,
        shards=tuple(shards),
        source={"reader": "toy"},
        config_hash="0" * 12,
    )
    write_text(str(folder / "manifest.json"), dump_manifest(manifest))
    return folder


@pytest.fixture(scope="session")
def toy_sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Prepared toy sets: train (60), validation (20), test (20), unlabelled (90)."""
    root = tmp_path_factory.mktemp("toy-sets")
    return {
        "train": write_toy_set(root / "train", 60, seed=1),
        "validation": write_toy_set(root / "validation", 20, seed=2, split="validation"),
        "test": write_toy_set(root / "test", 20, seed=3, split="test"),
        "unlabelled": write_toy_set(root / "unlabelled", 90, seed=4, role="unlabelled"),
    }


class FlakyStore:
    """An S3 server on loopback that can be told to fail.

    Attributes:
        failures: Answers of status 500 to be given before the next true one.
        asked: Requests so far, as "METHOD path".
    """

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self.failures, self.asked = 0, []
        self._true = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _answer(self, environ: dict, start_response: Callable) -> Iterator[bytes]:
        self.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if self.failures > 0:
            self.failures -= 1
            start_response("500 Internal Server Error", [("Content-Type", "application/xml")])
            return iter([b"<Error><Code>InternalError</Code><Message>busy</Message></Error>"])
        return self._true(environ, start_response)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[FlakyStore]:
    """A server for the session; tests ask for ``s3``."""
    server = FlakyStore()
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: FlakyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlakyStore]:
    """The server with an empty bucket ``faces``, found by whoever uses s3://; its client does not repeat by itself."""
    import s3fs

    from pipeline import object_store

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "LANDMARKS_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(object_store, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("faces")
    s3_server.asked.clear()
    yield s3_server
    s3_server.failures = 0
    store.rm("faces", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def make_toy_set() -> Callable[..., Path]:
    """``write_toy_set`` for tests that need a set of their own."""
    return write_toy_set


@pytest.fixture
def toy_experiment(tmp_path: Path, toy_sets: dict[str, Path]) -> dict:
    """A small semi-supervised experiment on toy faces, as the content of a YAML."""
    return {
        "name": "toy",
        "data": {**{k: str(v) for k, v in toy_sets.items()}, "streams": 4},
        "input_size": 48,
        "model": {"name": "rcn", "width": 4, "dropout": 0.0},
        "unlabelled": {
            "objective": {"name": "adversarial", "discriminator": {"name": "patchgan", "width": 4}}
        },
        "training": {
            "epochs": None,
            "steps": 12,
            "batch": 8,
            "trace": True,
            "validate_every": 0.5,
            "checkpoint_every": 0.5,
            "image_every": 100.0,
            "log_every": 4,
        },
        "cluster": {"storage": str(tmp_path / "runs")},
        "tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db", "artifacts": str(tmp_path / "artifacts")},
    }


@pytest.fixture(scope="session")
def train_plainly() -> Callable[..., list[dict[str, Any]]]:
    """Trains configs (plain) one after the other in one process of their own: Ray's worker without Ray, in a sixth of its time.

    A config's ``config_hash``, which is none of its keys, is the run's, whose folder is cluster.storage/name. Returns what each
    had to say: ``said`` (complaints), ``error`` (None of one that finished).
    """
    root = Path(__file__).resolve().parent

    def train(*configs: dict[str, Any]) -> list[dict[str, Any]]:
        runs = []
        for given in configs:
            config = dict(given)
            runs.append({"config_hash": config.pop("config_hash", "0" * 12), "config": config})
        done = subprocess.run(
            [sys.executable, str(root / "plain_host.py")],
            input="".join(json.dumps(run) + "\n" for run in runs),
            env=os.environ | {"PYTHONPATH": str(root.parent)},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    return train
