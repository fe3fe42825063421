"""The opening of a report of several runs: by how much each differs from the first, in words, and on which faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.evaluation.metrics.difference import Difference, paired_difference
from pipeline.evaluation.report_images import face_image
from pipeline.evaluation.report_input import RunReport
from pipeline.evaluation.significance import aligned

SHOWN = (90, 70, 50, 30, 10)
"""Percentiles of the gain at which a face is shown: neither the best nor the worst, but all kinds."""

LARGEST = 20
"""Faces shown of those whose errors differ most, either way: what one training has learnt and the other has not."""
_LARGEST_WIDTH = 220


def differences(
    runs: Sequence[RunReport], nme: Mapping[str, np.ndarray], *, images: bool = True
) -> list[dict[str, Any]]:
    """Each run against the first.

    Args:
        runs: Of one protocol.
        nme: Run name → (N,) NME ratios of its faces.
        images: Show faces, where the runs keep them.

    Returns:
        One entry per further run: its name, the sentence, faces at ``SHOWN`` of the gain, and the ``LARGEST`` that differ most.
        None for a run that shares no face with the first, or has a face without an error.
    """
    baseline, *others = runs
    found = []
    for other in others:
        keys, first_N, second_N = aligned(baseline, other, nme)
        difference = paired_difference(first_N, second_N)
        if difference is None:
            continue
        gain_N = first_N - second_N
        found.append(
            {
                "run": other.name,
                "baseline": baseline.name,
                "text": sentence(difference),
                "shown": difference.shown,
                "faces": _across(baseline, other, keys, gain_N, nme) if images else [],
                "largest": _largest(baseline, other, keys, gain_N, nme) if images else [],
            }
        )
    return found


def sentence(d: Difference) -> str:
    """A difference in words."""
    word = "less" if d.gain >= 0 else "more"
    told = f"{d.other:.2f} % NME instead of {d.baseline:.2f} %: {abs(d.gain):.2f} points {word} ({abs(d.relative):.1f} %)"
    if d.interval is not None:
        low, high = sorted(abs(x) for x in d.interval) if d.shown else d.interval
        told += f", 95 % interval over the faces {low:.2f} to {high:.2f}".replace("-", "−")
        if not d.shown:
            told += " less: no difference shown"
    return f"{told}. Lower on {d.improved:.0f} % of {d.faces:,} faces."


def _across(
    baseline: RunReport, other: RunReport, keys: np.ndarray, gain_N: np.ndarray, nme: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    usable = np.flatnonzero(np.isfinite(gain_N))
    order = usable[np.lexsort((keys[usable], gain_N[usable]))]
    ranks = np.unique(np.round(np.array(SHOWN) / 100 * (len(order) - 1)).astype(int))[::-1]
    places = {
        int(order[r]): f"percentile {round(100 * r / max(len(order) - 1, 1))} of the gain: " for r in ranks
    }
    return _drawn((baseline, other), keys, gain_N, nme, places)


def _largest(
    baseline: RunReport, other: RunReport, keys: np.ndarray, gain_N: np.ndarray, nme: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    usable = np.flatnonzero(np.isfinite(gain_N) & (gain_N != 0))
    order = usable[np.lexsort((keys[usable], -np.abs(gain_N[usable])))][:LARGEST]
    return _drawn((baseline, other), keys, gain_N, nme, dict.fromkeys(map(int, order), ""), _LARGEST_WIDTH)


def _drawn(
    pair: tuple[RunReport, RunReport],
    keys: np.ndarray,
    gain_N: np.ndarray,
    nme: Mapping[str, np.ndarray],
    places: Mapping[int, str],
    width: int | None = None,
) -> list[dict[str, Any]]:
    """Faces at places among the keys, each with what is said before its gain; none where a run keeps no images."""
    if any(run.predictions.images_NSS3 is None for run in pair):
        return []
    rows = {run.name: {str(key): row for row, key in enumerate(run.predictions.keys)} for run in pair}
    shown = []
    for place, why in places.items():
        key = str(keys[place])
        images = [
            {"run": run.name, **face_image(run, rows[run.name][key], nme[run.name], width)} for run in pair
        ]
        points = f"{round(100 * gain_N[place], 1) + 0.0:+.1f}".replace("-", "−")  # never −0.0
        shown.append({"key": key, "why": f"{why}{points} points", "images": images})
    return shown
