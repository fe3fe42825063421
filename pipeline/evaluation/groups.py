"""Groups of a set's faces, each measured by itself: where a model that is good on the mean is not.

A set says what its faces are told apart by: the subset of a data set that protocols name (300-W's common and challenging), every
attribute (WFLW's six, a video, a yaw), the pose, whether landmarks are visible, and whether the crop cuts some off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from pydantic import Field

from pipeline.evaluation.facts import FaceFacts, facts_of
from pipeline.evaluation.metrics.failure import auc, failure_rate
from pipeline.evaluation.metrics.interval import mean_interval
from pipeline.evaluation.metrics.nme import nme_per_face
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.summary import percent
from pipeline.faces.pose import bins_of
from pipeline.strict import Finite

SUBSETS: dict[str, dict[str, tuple[str, ...]]] = {
    # Sagonas et al., ICCVW 2013; the papers' "full" is both.
    "300w": {"common": ("helen/testset/", "lfpw/testset/"), "challenging": ("ibug/",)},
}
"""Data set → subset of its protocols → how the names of its images begin."""

POSE_BINS = 5
"""Of equal width; the outer ones hold few faces, and say so."""

_MOST_VALUES = 12
"""Of an attribute with more values, numbers are put in quarters and words tell too little."""


class GroupSummary(Finite):
    """Errors of one group under the protocol's normalisation, per cent."""

    by: str = Field(
        description="what faces are told apart by: subset, landmarks, crop, pose, or an attribute"
    )
    name: str
    faces: int = Field(ge=1, description="with a defined NME")
    nme: float = Field(description="mean, %")
    interval: tuple[float, float] | None = Field(
        description="of the mean: bootstrap over the group's faces, 95 %; None with one face"
    )
    failure_rate: dict[str, float | None] = Field(description="threshold in % → share of faces above, %")
    auc: dict[str, float | None] = Field(description="threshold in % → area under the CED / threshold, %")


@dataclass(frozen=True)
class Group:
    """Faces, or landmarks of faces.

    Attributes:
        by: See ``GroupSummary``.
        name: Likewise.
        counts_NK: (N, K) or (N, 1) bool, what belongs to it.
    """

    by: str
    name: str
    counts_NK: np.ndarray


def summarise_groups(
    predictions: Predictions,
    errors_NK: np.ndarray,
    sizes_N: np.ndarray,
    thresholds: Sequence[float],
    pose_bins: int,
) -> tuple[GroupSummary, ...]:
    """Every group with a face in it. What does not tell faces apart, as all have it, is left out.

    Args:
        predictions: With facts.
        errors_NK: (N, K) px, NaN where masked.
        sizes_N: (N,) px under the protocol's normalisation, NaN where undefined.
        thresholds: Of failure rates and areas, %.
        pose_bins: Bins of equal width along the pose.
    """
    found: dict[str, list[GroupSummary]] = {}
    for group in groups_of(predictions, pose_bins):
        nme_N = nme_per_face(np.where(group.counts_NK, errors_NK, np.nan), sizes_N)
        known_N = nme_N[~np.isnan(nme_N)]
        if not len(known_N):
            continue
        summary = GroupSummary(
            by=group.by,
            name=group.name,
            faces=len(known_N),
            nme=float(100 * known_N.mean()),
            interval=mean_interval(100 * known_N),
            failure_rate={f"{t:g}": percent(failure_rate(nme_N, t / 100)) for t in thresholds},
            auc={f"{t:g}": percent(auc(nme_N, t / 100)) for t in thresholds},
        )
        found.setdefault(group.by, []).append(summary)
    return tuple(summary for group in found.values() if len(group) > 1 for summary in group)


def groups_of(predictions: Predictions, pose_bins: int) -> Iterator[Group]:
    """All groups that the facts give, empty ones too."""
    facts = facts_of(predictions)
    if not facts:
        return
    yield from _subsets(facts)
    for name in sorted({name for face in facts for name in face.attributes}):
        yield from _attribute(name, [face.attributes.get(name) for face in facts])
    yield from _poses(facts, pose_bins)
    if predictions.visible_NK is not None:
        yield Group("landmarks", "visible", predictions.visible_NK)
        yield Group("landmarks", "occluded", ~predictions.visible_NK)
    cut_N1 = np.array([[face.cut] for face in facts])
    yield Group("crop", "whole", ~cut_N1)
    yield Group("crop", "cuts a landmark off", cut_N1)


def _subsets(facts: Sequence[FaceFacts]) -> Iterator[Group]:
    for source in dict.fromkeys(face.source for face in facts):
        for name, starts in SUBSETS.get(source, {}).items():
            yield Group(
                "subset", name, _column([f.source == source and f.image.startswith(starts) for f in facts])
            )


def _attribute(name: str, values: Sequence[Any]) -> Iterator[Group]:
    """One group per value; of more numbers than a few, quarters."""
    plain = [value if isinstance(value, str | int | float) else None for value in values]
    distinct = {value for value in plain if value is not None}
    if len(distinct) <= _MOST_VALUES:
        words: dict[Any, str] = {0: "no", 1: "yes"} if distinct <= {0, 1} else {}
        for value in sorted(distinct, key=lambda v: (isinstance(v, str), v)):
            yield Group(
                name,
                words.get(value, f"{value}") or "none",
                _column([v is not None and v == value for v in plain]),
            )
    elif all(isinstance(value, int | float) for value in distinct):
        yield from _quarters(name, np.array([np.nan if value is None else float(value) for value in plain]))


def _quarters(name: str, value_N: np.ndarray) -> Iterator[Group]:
    edges = np.unique(np.nanquantile(value_N, [0, 0.25, 0.5, 0.75, 1]))
    for low, high in pairwise(edges):
        inside_N = (value_N >= low) & ((value_N < high) | (high == edges[-1]))
        yield Group(name, f"{low:.3g} to {high:.3g}", inside_N[:, None])


def _poses(facts: Sequence[FaceFacts], bins: int) -> Iterator[Group]:
    pose_N = np.array([np.nan if face.pose is None else face.pose for face in facts])
    known_N = np.isfinite(pose_N)
    if not known_N.any():
        return
    bin_N = np.full(len(pose_N), -1)
    bin_N[known_N] = bins_of(pose_N[known_N], bins)
    edges = np.linspace(pose_N[known_N].min(), pose_N[known_N].max(), bins + 1)
    for number in range(bins):
        name = f"{edges[number]:+.1f} to {edges[number + 1]:+.1f} sd".replace("-", "−")
        yield Group("pose", name, (bin_N == number)[:, None])


def _column(flags: Sequence[bool]) -> np.ndarray:
    return np.array(flags, dtype=bool)[:, None]
