"""Sets of toy faces, prepared without preparation, and an experiment on them: learnable in seconds."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.shards.manifest import CropPolicy, Manifest, SampleMeta, dump_manifest
from pipeline.shards.read import RawSample
from pipeline.shards.write import encode_meta, sample_key, write_shard
from pipeline.storage import write_text


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
