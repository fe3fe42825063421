"""The nose tip's way from the frame before to the frame after."""

from __future__ import annotations

import numpy as np

from pipeline.inference.motion import nose_directions
from pipeline.markup import load_markup
from pipeline.shards.manifest import SampleMeta

FIVE = load_markup("mtfl5")


def meta(x: float | None, y: float = 0.0, **attributes) -> SampleMeta:
    nose = None if x is None else (x, y)
    return SampleMeta(
        key="k", source="300vw", image="i", width=9, height=9, left=0, top=0, side=9, size=9,
        points=[(0.0, 0.0), (4.0, 0.0), nose, (0.0, 5.0), (4.0, 5.0)], attributes=attributes,
    )  # fmt: skip


def test_directions_of_a_video_and_of_stills():
    metas = [
        meta(0, 0, video="a", frame="9"),
        meta(5, 5, video="a", frame="11"),
        meta(50, 0),  # a still
        meta(4, 0, video="a", frame="10"),
        meta(7, 7, video="b", frame="1"),
        meta(7, 7, video="b", frame="2"),  # does not move
        meta(None, video="c", frame="1"),
        meta(3, 3, video="c", frame="2"),
    ]
    got = nose_directions(metas, FIVE)
    # 9 → 10 at the start, 9 → 11 about the middle, 10 → 11 at the end.
    np.testing.assert_allclose(got[[0, 3, 1]], [0.0, np.pi / 4, np.arctan2(5, 1)])
    assert np.isnan(got[[2, 4, 5, 6, 7]]).all()
