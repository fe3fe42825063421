"""How far 300-W's 68 landmarks, mapped to the 29 of LFPW and COFW, lie from those: `differences` of pipeline/markups/ibug68.yaml.

    python results/markups/lfpw29.py kbvt_lfpw_v1_test.csv 300W/lfpw/testset

LFPW's own test file (Belhumeur et al., "Localizing Parts of Faces Using a Consensus of Exemplars", CVPR 2011) has 29 landmarks of
300 faces, the mean of three annotators; 300-W re-annotated 224 of the images with 68. The images have other names and cuts there,
so a face is known again by its shape: each of the 224 is laid over all 300 (least-squares similarity), and counts where both are
each other's best and the second best is a third worse. The offsets are the medians of what remains, alike on both sides of the
face; they and the matching are found in turns. Writes ``lfpw29.csv`` beside this file.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from pipeline.datasets._pts import read_pts
from pipeline.markup import load_markup
from pipeline.markup_mapping import find_mapping

LEAST = 0.01  # of the ocular distance; smaller offsets are left at 0
CLEAR = 0.75  # of the second best's distance
ROUNDS = 10


def lfpw(path: str) -> np.ndarray:
    """(M, 29) complex landmarks x + iy, the annotators' mean; the ears' six are left out."""
    with Path(path).open(encoding="utf-8") as file:
        head, *rows = csv.reader(file, delimiter="\t")
    kept = [i for i, name in enumerate(head[2::3]) if "ear_" not in name]
    values = np.array([row[2:] for row in rows if row[1] == "average"], dtype=float)
    points = values.reshape(len(values), -1, 3)[:, kept]
    return np.asarray(points[..., 0] + 1j * points[..., 1])


def laid_over(moving: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Least-squares similarity of (…, K) complex shapes onto others."""
    centred = moving - moving.mean(-1, keepdims=True)
    target = fixed - fixed.mean(-1, keepdims=True)
    turn = (centred.conj() * target).sum(-1, keepdims=True) / np.square(np.abs(centred)).sum(
        -1, keepdims=True
    )
    return np.asarray(turn * centred + fixed.mean(-1, keepdims=True))


def main(table: str, folder: str) -> None:
    """Measure, print, write."""
    ibug, cofw = load_markup("ibug68"), load_markup("cofw29")
    plain = type(ibug)(**{**vars(ibug), "differences": ()})
    mapping = find_mapping(plain, cofw)
    common, flip = np.flatnonzero(mapping.common_T), cofw.flip_permutation
    points = np.array([read_pts(path, 68) for path in sorted(Path(folder).glob("*.pts"))])
    mapped = mapping.points(points)[:, common]
    ours = mapped[..., 0] + 1j * mapped[..., 1]
    assert ibug.ocular is not None
    eyes = points[:, ibug.ocular[1]] - points[:, ibug.ocular[0]]
    eyes = (eyes[:, 0] + 1j * eyes[:, 1])[:, None]
    theirs = lfpw(table)[:, common]

    offset = np.zeros(29, dtype=complex)
    for _ in range(ROUNDS):
        moved = ours + offset[common] * eyes
        over = laid_over(theirs[None], moved[:, None])
        distance = np.abs((over - moved[:, None]) / eyes[:, None]).mean(-1)
        best, ranked = distance.argmin(1), np.sort(distance, axis=1)
        mutual = distance.argmin(0)[best] == np.arange(len(ours))
        clear = mutual & (ranked[:, 0] < CLEAR * ranked[:, 1])
        used = clear if clear.sum() > 100 else mutual  # without offsets yet, hardly any is clear
        rest = (over[used, best[used]] - ours[used]) / eyes[used]
        offset[common] = np.median(rest.real, axis=0) + 1j * np.median(rest.imag, axis=0)
        offset = (offset - offset[flip].conj()) / 2
    told = np.where(np.abs(offset) < LEAST, 0, np.round(offset, 3))[common]
    left = np.abs(rest - told)
    print(
        f"{used.sum()} faces: {100 * np.abs(rest).mean():.2f} % without offsets, {100 * left.mean():.2f} % with them"
    )
    with (Path(__file__).parent / "lfpw29.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["landmark", "faces", "along", "down", "without_percent", "left_percent"])
        for k, place in enumerate(common):
            numbers = (told[k].real, told[k].imag, 100 * np.abs(rest[:, k]).mean(), 100 * left[:, k].mean())
            writer.writerow([place, int(used.sum()), *(f"{number:.3f}" for number in numbers)])


if __name__ == "__main__":
    main(*sys.argv[1:])
