"""Images a second of the face detector, batched, on a device and on one core.

python results/gpu/detect.py COUNT DEVICE OUT.csv
"""

from __future__ import annotations

import os
import sys
import time

import torch

from jobs.bench.figures import write_csv
from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.faces.detect import DetectorConfig, FaceDetector


def main(count: str, device: str, out: str) -> None:
    """Measure both, and write a row for each."""
    torch.set_num_threads(1)
    images = [record.load().image_HW3 for record in SyntheticFaces(int(count), seed=5).records()]
    rows = []
    for place, batch in dict.fromkeys([(device, 256), ("cpu", 32)]):
        detector = FaceDetector(DetectorConfig(device=place, batch=batch))
        detector.detect(images[:batch])  # warm
        chosen = images if place != "cpu" else images[: min(len(images), 200)]
        began = time.perf_counter()
        found = detector.detect(chosen)  # reads its results back: nothing is left to wait for
        rate = len(chosen) / (time.perf_counter() - began)
        share = sum(map(bool, found)) / len(found)
        rows.append(
            {
                "device": place,
                "batch": batch,
                "images": len(chosen),
                "images_per_second": round(rate, 1),
                "found": round(share, 4),
            }
        )
    write_csv(out, rows, None, 5)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(*sys.argv[1:])
