"""``landmarks bench augment``: a batched set of operations against the same operations, one image at a time, with Pillow.

``adnet`` and ``uglli`` are the papers' sets; ``every`` has every operation there is.

Both sides start from decoded images (uint8) with 68 landmarks each, and end with a float batch. Both run in one process of
their own, in the allocator's setting of a training worker, batch by batch in turn, so that a busy machine slows both. Two ratios:
of images a second by the clock, and of images a second of CPU time, which does not count time that others had the core.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jobs.bench.figures import run_python, show, write_csv
from jobs.bench.plain_augment import PlainAugmentation, Recipe, Sample, collate
from pipeline.augment.batch import FaceBatch
from pipeline.augment.compose import Augmentation
from pipeline.augment.draws import step_generator
from pipeline.errors import ConfigError
from pipeline.markup import load_markup
from pipeline.registry import Part, build
from pipeline.words import counted

SETS = {
    "adnet": Part(name="adnet"),
    "uglli": Part(name="uglli"),
    "every": Part(
        name="custom",
        rotation=18.0,
        scale=0.1,
        translation=0.05,
        flip=0.5,
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
        hue=18.0,
        grey=0.2,
        blur=0.3,
        occlusion=0.4,
    ),
}
"""What is measured. ``every``: ADNet's figures, and the usual changes of colour."""
BATCHES = 8
"""Timed batches of a round; two more come before the first."""


def recipe_of(augmentation: Augmentation) -> Recipe:
    """The plain side's ranges, read from ours."""
    geometry, colour = augmentation.geometry, augmentation.colour
    blur, occlusion = augmentation.blur, augmentation.occlusion
    return Recipe(
        rotation=geometry.rotation,
        scale=geometry.scale,
        translation=geometry.translation,
        flip=geometry.flip,
        brightness=colour.brightness,
        contrast=colour.contrast,
        saturation=colour.saturation,
        hue=colour.hue,
        channels=colour.channels,
        grey=colour.grey,
        blur=blur.probability,
        blur_sigma=blur.sigma,
        occlusion=occlusion.probability,
        occlusion_size=occlusion.size,
    )


def samples(count: int, size: int, landmarks: int, seed: int) -> list[Sample]:
    """Random images with all landmarks visible."""
    random = np.random.default_rng(seed)
    every = np.ones(landmarks, dtype=bool)
    return [
        (
            random.integers(0, 256, (size, size, 3), dtype=np.uint8),
            random.uniform(0, size - 1, (landmarks, 2)),
            every,
            every,
        )
        for _ in range(count)
    ]


def stacked(faces: list[Sample]) -> FaceBatch:
    """Decoded images as the loader stacks them."""
    images, points, masks, visibles = (np.stack(part) for part in zip(*faces, strict=True))
    return FaceBatch(
        torch.from_numpy(images).permute(0, 3, 1, 2),
        torch.from_numpy(points).float(),
        torch.from_numpy(masks),
        torch.from_numpy(visibles),
    )


def measure(name: str, size: int, batch: int, rounds: int, threads: int, seed: int) -> list[dict[str, float]]:
    """Seconds of each side in this process, by the clock and of CPU time, a row per round.

    Args:
        name: Of the set.
        size: Side, px.
        batch: Images.
        rounds: Rows.
        threads: Of either side.
        seed: Of images and changes.
    """
    torch.set_num_threads(threads)
    markup = load_markup("ibug68")
    augmentation: Augmentation = build("augmentation", SETS[name], markup=markup)
    plain = PlainAugmentation(recipe_of(augmentation), markup.flip_permutation, seed)
    faces = samples(batch, size, markup.num_landmarks, seed)

    def ours(step: int) -> Tensor:
        return augmentation(stacked(faces), step_generator(seed, step)).batch.images_B3SS

    with ThreadPoolExecutor(threads) as pool:

        def theirs(step: int) -> Tensor:
            # Pillow gives the interpreter lock back while it computes; one thread needs no pool.
            changed = list(map(plain, faces) if threads == 1 else pool.map(plain, faces))
            return collate(changed)[0]

        sides: dict[str, Callable[[int], Tensor]] = {"ours": ours, "plain": theirs}
        for step in range(2):
            for side in sides.values():
                side(step)
        rows = []
        for turn in range(rounds):
            row = {f"{side}_{clock}": 0.0 for side in sides for clock in ("seconds", "cpu_seconds")}
            for step in range(BATCHES):
                for label, side in sides.items():
                    wall, cpu = time.perf_counter(), time.process_time()
                    side(turn * BATCHES + step)
                    row[f"{label}_seconds"] += time.perf_counter() - wall
                    row[f"{label}_cpu_seconds"] += time.process_time() - cpu
            rows.append(row)
    return rows


def _row(turn: int, times: dict[str, float], images: int) -> dict[str, Any]:
    row: dict[str, Any] = {"round": turn}
    for clock, label in (("seconds", "second"), ("cpu_seconds", "cpu_second")):
        ours, plain = (images / times[f"{side}_{clock}"] for side in ("ours", "plain"))
        row[f"ours_images_per_{label}"] = round(ours, 1)
        row[f"plain_images_per_{label}"] = round(plain, 1)
        row["ratio" if clock == "seconds" else "cpu_ratio"] = round(ours / plain, 4)
    return row


def bench(
    name: str = "every",
    *,
    sizes: list[int],
    batch: int = 32,
    rounds: int = 5,
    threads: int = 1,
    seed: int = 0,
    out: str | None = None,
) -> list[dict[str, Any]]:
    """Measure both sides in turn at every size, print the comparison, and write it as CSV.

    Args:
        name: Of the set, of ``SETS``.
        sizes: Sides of the images, px.
        batch: Images in a batch.
        rounds: Measurements of each side, of ``BATCHES`` batches.
        threads: Of either side.
        seed: Of images and changes.
        out: CSV; None writes none.

    Returns:
        The rows of the CSV, without provenance.

    Raises:
        ConfigError: Another set, or a size or number below 1.
    """
    if name not in SETS:
        raise ConfigError(f"bench augment: there is no set '{name}', only {', '.join(SETS)}")
    for what, number in (("size", min(sizes)), ("batch", batch), ("rounds", rounds), ("threads", threads)):
        if number < 1:
            raise ConfigError(f"bench augment: {what} is {number}; it must be 1 or more")
    keep = str(2**32)
    environment = {
        "OMP_NUM_THREADS": str(threads),
        # As jobs.cluster.fit has it for workers: or both sides spend a good part of their time on page faults.
        "MALLOC_MMAP_THRESHOLD_": keep,
        "MALLOC_TRIM_THRESHOLD_": keep,
    }
    rows = []
    for size in sizes:
        shared = {"name": name, "size": size, "batch": batch, "threads": threads}
        settings = {**shared, "rounds": rounds, "seed": seed}
        line, _ = run_python("jobs.bench.augment", [], settings, environment)
        found = [_row(turn, times, batch * BATCHES) for turn, times in enumerate(json.loads(line))]
        title = f"{name}, {size} px, batch {batch}, {counted(threads, 'thread')}"
        for label in ("second", "cpu_second"):
            pairs = [(row[f"ours_images_per_{label}"], row[f"plain_images_per_{label}"]) for row in found]
            show(title, f"images/{label.replace('_', ' ')}", pairs, ("batched", "Pillow"))
        rows += [{**shared, "batches": BATCHES, **row} for row in found]
    write_csv(out, rows, None, seed)
    return rows


if __name__ == "__main__":
    print(json.dumps(measure(**json.load(sys.stdin))))
