"""How good are the labels that the objective ``detector_shape`` gives? No network: a regression, on the held-out faces of 300-W.

python results/semi/shape_from_five.py outputs/data/w300 > results/semi/shape_from_five.csv
"""

import csv
import sys

import numpy as np
import torch

from pipeline.evaluation.provenance import collect
from pipeline.methods.unlabelled.base import UnlabelledBatch
from pipeline.methods.unlabelled.detector_shape import DetectorShape
from pipeline.shards.manifest import load_manifest
from pipeline.shards.poses import read_points
from pipeline.shards.selection import nested_subset

BUDGETS, DRAWS = (10, 50, 157, 1808), range(5)


def main(root: str) -> None:
    train, held_out = load_manifest(f"{root}/train"), load_manifest(f"{root}/validation")
    points_NK2, five_N52 = map(torch.from_numpy, read_points(train, f"{root}/train"))
    target_NK2, their_five_N52 = map(torch.from_numpy, read_points(held_out, f"{root}/validation"))
    left, right = train.layout.ocular
    ocular_N = (target_NK2[:, left] - target_NK2[:, right]).norm(dim=-1)
    source = collect(None, None)
    rows = []
    for labels in BUDGETS:
        for draw in DRAWS if labels < train.samples else (0,):
            chosen = nested_subset(train.samples, labels, draw)
            objective = DetectorShape(train.num_landmarks, train.crop.size, train.layout)
            objective.learn(five_N52[chosen], points_NK2[chosen])
            images = torch.zeros(len(target_NK2), 3, 1, 1)
            answer_NK2 = objective.regressed(UnlabelledBatch.unchanged(images, their_five_N52.float()))
            nme_N = 100 * (answer_NK2 - target_NK2).norm(dim=-1).mean(1) / ocular_N
            rows.append(
                {
                    "labels": labels,
                    "draw": draw,
                    "penalty": objective.penalty,
                    "nme": round(float(np.nanmean(nme_N)), 3),
                    "faces": int(nme_N.isfinite().sum()),
                    "protocol": "300w/validation · ocular · detector box",
                    "data_config_hash": held_out.config_hash,
                    "commit": source["commit"],
                    "dirty": source["dirty"],
                    "torch": torch.__version__,
                }
            )
    writer = csv.DictWriter(sys.stdout, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
