"""The plain loop that ``landmarks prepare`` is measured against: facenet-pytorch's MTCNN, one image at a time.

One process with torch's threads on all cores: detect with landmarks, cut the square around the five points, encode, write.
Reads its settings as JSON from standard input and prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipeline.datasets.folder import ImageFolder
from pipeline.errors import DataError

_SIDE_FACTOR, _SIZE, _QUALITY = 3.0, 80, 95


def _prepare_one(detector: Any, image_HW3: np.ndarray, path: Path) -> bool:
    image = Image.fromarray(image_HW3)
    boxes, _, fives = detector.detect(image, landmarks=True)
    if boxes is None:
        return False
    largest = int(np.argmax([(b[2] - b[0]) * (b[3] - b[1]) for b in boxes]))
    low, high = fives[largest].min(axis=0), fives[largest].max(axis=0)
    half = _SIDE_FACTOR * float((high - low).max()) / 2
    x, y = ((low + high) / 2 + 0.5).tolist()
    square = image.crop((round(x - half), round(y - half), round(x + half), round(y + half)))
    square.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC).save(path, "JPEG", quality=_QUALITY)
    return True


def measure(images: list[str], count: int, warmup: int, threads: int, out: Path) -> dict[str, float]:
    """Prepare ``count`` images; the first ``warmup`` are done once before, unmeasured.

    Returns:
        ``images``, ``faces`` and ``seconds``, the networks' loading not included.
    """
    from facenet_pytorch import MTCNN

    torch.set_num_threads(threads)
    records = ImageFolder(images, limit=count).records()
    detector = MTCNN(keep_all=True, device="cpu")
    for record in records[:warmup]:
        _prepare_one(detector, record.load().image_HW3, out / "warmup.jpg")
    began, faces = time.perf_counter(), 0
    for index, record in enumerate(records):
        try:
            faces += _prepare_one(detector, record.load().image_HW3, out / f"{index:06d}.jpg")
        except (DataError, RuntimeError, ValueError, TypeError):
            continue  # tiny or damaged: the package's detector raises, a plain loop goes on
    return {"images": len(records), "faces": faces, "seconds": time.perf_counter() - began}


def main() -> None:
    """Measure what standard input describes."""
    settings = json.load(sys.stdin)
    settings["out"] = Path(settings["out"])
    print(json.dumps(measure(**settings)))


if __name__ == "__main__":
    main()
