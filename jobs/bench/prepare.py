"""``landmarks bench prepare``: preparation on all cores against a plain loop over single images.

Two figures for each side. *Whole*: a process of its own from its start to its end, imports, Ray and the loading of networks
included. *Steady*: only the images, with workers started and warm (a few images each before the clock starts); ours
includes the driver, the tars and the manifest. The ratio of steady figures is what a large set gets.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from jobs.bench.figures import run_python, show, write_csv
from pipeline.datasets.folder import ImageFolder
from pipeline.shards.prepare_config import PrepareConfig
from pipeline.words import counted

WARMUP = 4
"""Images done before the clock starts, by every worker of either side."""


def _config(images: list[str], count: int, out: Path) -> dict[str, Any]:
    reader = {"reader": "folder", "root": images, "limit": count}
    return {
        "out": str(out),
        "max_reject_share": 1.0,
        "sets": [{"name": "faces", "role": "unlabelled", "reader": reader}],
    }


def _whole(raw: dict[str, Any], folder: Path) -> float:
    """Seconds of ``landmarks prepare`` as a user runs it."""
    path = folder / "prepare.yaml"
    path.write_text(yaml.safe_dump({"prepare": raw}), encoding="utf-8")
    _, seconds = run_python("jobs.cli", ["prepare", str(path)], None, {})
    return seconds


def _steady(config: PrepareConfig) -> tuple[float, int, int]:
    """(seconds, images, faces) of the same work with workers that are already warm."""
    from jobs.cluster.prepare_pool import ChunkJob, PreparePool
    from pipeline.shards.assemble import assemble
    from pipeline.shards.plan import plan_sets
    from pipeline.shards.staging import Staging

    (plan,) = plan_sets(config)
    staging = Staging(config.out, plan.name, plan.config_hash([]))
    job = ChunkJob(plan.options, config.detector, None, staging)
    with PreparePool(None) as pool:
        pool.warm(job, plan.chunk(0)[:WARMUP])
        began = time.perf_counter()
        done = sum(count for count, _ in pool.run(job, plan, list(range(plan.chunk_count))))
        manifest = assemble(plan, plan.config_hash([]), staging, config.max_reject_share, pool.write)
        return time.perf_counter() - began, done, manifest.samples


def bench(images: list[str], *, count: int, out: str | None) -> None:
    """Prepare the same images both ways, print the comparison, and write it as CSV.

    Args:
        images: Folders, or plain tars, of images.
        count: How many, chosen evenly over all of them.
        out: CSV; None writes none.

    Raises:
        LandmarkError: No images there, or one side fails.
    """
    import json

    cores = len(os.sched_getaffinity(0))
    roots = [str(Path(root).expanduser().absolute()) for root in images]
    count = len(ImageFolder(roots, limit=count).records())  # fails here, in a second, on a wrong folder
    with tempfile.TemporaryDirectory(prefix="landmarks-bench-") as name:
        folder = Path(name)
        ours_whole = _whole(_config(roots, count, folder / "whole"), folder)
        (folder / "plain").mkdir()
        settings = {
            "images": roots,
            "count": count,
            "warmup": WARMUP,
            "threads": cores,
            "out": str(folder / "plain"),
        }
        threads = {"OMP_NUM_THREADS": str(cores)}
        line, plain_whole = run_python("jobs.bench.plain_prepare", [], settings, threads)
        plain = json.loads(line)
        seconds, done, faces = _steady(PrepareConfig.model_validate(_config(roots, count, folder / "steady")))
    rows = []
    for figure, ours, theirs in (
        ("steady", done / seconds, plain["images"] / plain["seconds"]),
        ("whole", count / ours_whole, count / plain_whole),
    ):
        show(
            f"preparation of {counted(count, 'image')}, {counted(cores, 'core')}, {figure}",
            "images/s",
            [(ours, theirs)],
            ("landmarks prepare", "plain MTCNN loop"),
        )
        rows.append(
            {
                "figure": figure,
                "ours_images_per_second": round(ours, 2),
                "plain_images_per_second": round(theirs, 2),
                "ratio": round(ours / theirs, 4),
                "images": count,
                "ours_faces": faces,
                "plain_faces": plain["faces"],
            }
        )
    write_csv(out, rows, None, None)
