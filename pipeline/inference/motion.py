"""Where faces move between the frames of a video: the direction of synthetic motion blur (Yan et al., section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.markup import Markup
from pipeline.shards.manifest import SampleMeta

_LEAST = 0.5  # px of the original image; less is the annotator's hand


def nose_directions(metas: Sequence[SampleMeta], markup: Markup) -> np.ndarray:
    """The nose tip's way from the frame before to the frame after, of the frames given; at an end, from or to its own.

    Where a set holds every n-th frame these are n apart. The tip is that of ``Markup.five_points``; the paper's is the landmark
    beneath it.

    Args:
        metas: Faces; those of videos have the attributes ``video`` and ``frame``, as 300-VW's do.
        markup: Of their landmarks.

    Returns:
        (N,) radians from x to y; NaN for a still, for a face that does not move, and where the nose is not known.
    """
    nose_N2 = np.full((len(metas), 2), np.nan)
    videos: dict[str, list[tuple[str, int]]] = {}
    for place, meta in enumerate(metas):
        video, frame = meta.attributes.get("video"), meta.attributes.get("frame")
        if video is None or frame is None or markup.five_points is None:
            continue
        points = [(np.nan, np.nan) if p is None else p for p in meta.points or []]
        nose_N2[place] = markup.five_from(np.asarray(points, dtype=np.float64))[2]
        # By length first: 10 comes after 9, whether or not frames are padded with zeros.
        videos.setdefault(f"{meta.source}/{video}", []).append((f"{len(str(frame)):04d}{frame}", place))
    direction_N = np.full(len(metas), np.nan)
    for frames in videos.values():
        order = [place for _, place in sorted(frames)]
        for at, place in enumerate(order):
            way_2 = nose_N2[order[min(at + 1, len(order) - 1)]] - nose_N2[order[max(at - 1, 0)]]
            if np.linalg.norm(way_2) >= _LEAST:  # False where unknown
                direction_N[place] = np.arctan2(way_2[1], way_2[0])
    return direction_N
