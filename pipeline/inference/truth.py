"""What a prepared set states of its faces, in the markup that a model is measured in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.evaluation.facts import FaceFacts
from pipeline.evaluation.sizes import own_sizes
from pipeline.markup_meeting import Meeting
from pipeline.shards.manifest import Manifest, SampleMeta


class Truth(NamedTuple):
    """The fields of ``Predictions`` that the set states, of N faces."""

    target_NK2: np.ndarray
    mask_NK: np.ndarray
    visible_NK: np.ndarray
    sizes_N4: np.ndarray | None
    facts_N: np.ndarray


def truth_of(
    metas: Sequence[SampleMeta], poses: Sequence[float | None], manifest: Manifest, meeting: Meeting | None
) -> Truth:
    """The truth of some faces.

    Args:
        metas: Of the faces.
        poses: Likewise, of the manifest.
        manifest: Of their set.
        meeting: Where it meets the models; None in its own markup.
    """
    points = [[(np.nan, np.nan) if p is None else p for p in m.points or []] for m in metas]
    target_NK2 = np.array(points, dtype=np.float64)
    visible_NK = np.array([m.visible or [True] * manifest.num_landmarks for m in metas], dtype=bool)
    known_NK = np.asarray(np.isfinite(target_NK2).all(axis=-1))
    facts = [
        FaceFacts(
            source=meta.source,
            image=meta.image,
            cut=bool((known_K & ~meta.crop.contains(target_K2)).any()),
            pose=pose,
            attributes=meta.attributes,
        ).model_dump_json()
        for meta, target_K2, known_K, pose in zip(metas, target_NK2, known_NK, poses, strict=True)
    ]
    sizes_N4 = None
    if meeting is not None and not meeting.plain:
        sizes_N4 = own_sizes(target_NK2, known_NK, manifest.layout)
        visible_NK = meeting.labelled.visible(visible_NK)
        target_NK2 = meeting.labelled.points(target_NK2)
        known_NK = np.isfinite(target_NK2).all(axis=-1) & meeting.common_T
    return Truth(np.nan_to_num(target_NK2), known_NK, visible_NK, sizes_N4, np.array(facts))
