"""Which run is the best in a column of numbers, by more than the choice of faces explains.

A column that is a mean over faces is compared face by face, the best run with every other: a paired bootstrap over the faces
both have, see ``metrics.difference``. Other columns (a correlation, an area under a sorted curve) have no such test, and no run
is ever called the best in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

import numpy as np

from pipeline.evaluation import headline
from pipeline.evaluation.gallery import common_keys
from pipeline.evaluation.metrics.difference import paired_difference
from pipeline.evaluation.metrics.direction import normal_and_tangent
from pipeline.evaluation.metrics.nme import Normalisation, nme_per_face
from pipeline.evaluation.metrics.uncertainty import mean_per_face
from pipeline.evaluation.protocol import face_nme
from pipeline.evaluation.report_input import RunReport
from pipeline.evaluation.sizes import face_sizes

_THRESHOLDS = {"fr8": 0.08, "fr10": 0.10, "auc7": 0.07, "auc8": 0.08, "auc10": 0.10}


def rivals(runs: Sequence[RunReport], column: headline.Column) -> tuple[str, ...] | None:
    """The runs that the best one of a column is not told apart from: none where it is the best beyond chance.

    Args:
        runs: Of one protocol.
        column: Of a comparison; runs without a number in it do not take part.

    Returns:
        Names in the order of ``runs``; None where there is nothing to compare, or no test for this column.
    """
    known = {run.name: value for run in runs if (value := run.values.get(column.key)) is not None}
    taking_part = [run for run in runs if run.name in known]
    if column.better is None or len(known) < 2:
        return None
    pick = min if column.better == "lower" else max
    best = pick(taking_part, key=lambda run: known[run.name])
    errors = {
        run.name: errors_N for run in taking_part if (errors_N := per_face(run, column.key)) is not None
    }
    if len(errors) < len(taking_part):
        return None
    return tuple(
        other.name for other in taking_part if other is not best and not _better(best, other, errors)
    )


def undecided(
    runs: Iterable[RunReport], columns: Sequence[headline.Column] = headline.ALL_COLUMNS
) -> frozenset[tuple[str, str]]:
    """Protocol's name and column's key wherever no run is the best beyond chance."""
    groups: dict[str, list[RunReport]] = {}
    for run in runs:
        groups.setdefault(run.evaluation.protocol_name, []).append(run)
    return frozenset(
        (name, column.key)
        for name, group in groups.items()
        for column in columns
        if rivals(group, column) != ()
    )


def per_face(run: RunReport, key: str) -> np.ndarray | None:
    """What each face adds to a column, (N,), the lower the better, NaN where undefined; None for a column that is no mean.

    An area under the cumulative errors is 1 less the mean of the errors over its limit, none counted as more than 1.
    """
    p, protocol = run.predictions, run.evaluation.protocol
    if key in get_args(Normalisation):
        return face_nme(p, run.layout, key)  # type: ignore[arg-type]
    if key in _THRESHOLDS:
        nme_N, threshold = face_nme(p, run.layout, protocol.normalisation), _THRESHOLDS[key]
        share_N = nme_N > threshold if key.startswith("fr") else np.minimum(nme_N / threshold, 1.0)
        return np.where(np.isnan(nme_N), np.nan, share_N)
    if key == "scatter" and p.scatter_NK is not None:
        return mean_per_face(np.where(p.mask_NK, p.scatter_NK, np.nan))
    if key in {"normal", "tangent"}:
        both = normal_and_tangent(p.points_NK2, p.target_NK2, p.mask_NK, run.layout)
        sizes_N = face_sizes(p, run.layout, protocol.normalisation)
        return nme_per_face(both[key == "tangent"], sizes_N)
    return None


def aligned(
    one: RunReport, other: RunReport, values: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keys of the faces that two runs share, sorted, and the values (N,) of these faces in both."""
    keys = common_keys([one.predictions.keys, other.predictions.keys])
    shared = []
    for run in (one, other):
        rows = {str(key): i for i, key in enumerate(run.predictions.keys)}
        shared.append(values[run.name][[rows[str(key)] for key in keys]])
    return keys, shared[0], shared[1]


def _better(best: RunReport, other: RunReport, errors: Mapping[str, np.ndarray]) -> bool:
    found = paired_difference(*aligned(other, best, errors)[1:])
    return found is not None and found.shown and found.gain > 0
