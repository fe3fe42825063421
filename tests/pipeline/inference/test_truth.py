"""What a set states of its faces, as groups and metrics ask for it."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.facts import FaceFacts
from pipeline.evaluation.sizes import own_sizes
from pipeline.inference.truth import truth_of
from pipeline.markup import load_markup
from pipeline.markup_mapping import find_mapping
from pipeline.markup_meeting import meet
from pipeline.shards.manifest import SampleMeta, load_manifest

IBUG, FIVE = load_markup("ibug68"), load_markup("mtfl5")
POINTS = np.random.default_rng(0).uniform(20, 80, (3, 68, 2))


def meta(face: int, **change) -> SampleMeta:
    return SampleMeta(
        **{
            "key": f"{face}",
            "source": "300w",
            "image": f"ibug/{face}.jpg",
            "width": 200,
            "height": 200,
            "left": 0,
            "top": 0,
            "side": 100,
            "size": 80,
            "points": POINTS[face].tolist(),
            "attributes": {"blur": face % 2},
        }
        | change
    )


def test_facts_visibility_and_what_is_unknown(toy_sets):
    manifest = load_manifest(str(toy_sets["test"]))
    outside = [*POINTS[1].tolist()[:7], [150.0, 50.0], *POINTS[1].tolist()[8:]]
    unknown = [None, *POINTS[2].tolist()[1:]]
    hidden = [k != 5 for k in range(68)]
    truth = truth_of(
        [meta(0, visible=hidden), meta(1, points=outside), meta(2, points=unknown)],
        [1.5, None, -2.0],
        manifest,
        None,
    )
    facts = [FaceFacts.model_validate_json(str(text)) for text in truth.facts_N]
    assert [face.cut for face in facts] == [False, True, False]
    assert [face.pose for face in facts] == [1.5, None, -2.0]
    assert [(face.source, face.image, face.attributes) for face in facts][1] == (
        "300w",
        "ibug/1.jpg",
        {"blur": 1},
    )
    assert np.argwhere(~truth.visible_NK).tolist() == [[0, 5]]
    assert np.argwhere(~truth.mask_NK).tolist() == [[2, 0]]
    assert np.isfinite(truth.target_NK2).all()
    assert truth.sizes_N4 is None


def test_in_another_markup_sizes_stay_the_sets_own(toy_sets):
    manifest = load_manifest(str(toy_sets["test"]))
    blind = [k not in range(36, 42) for k in range(68)]  # the left eye: all of a mean must be seen
    truth = truth_of(
        [meta(face, visible=blind) for face in range(3)], [None] * 3, manifest, meet([IBUG], IBUG, FIVE)
    )
    np.testing.assert_allclose(truth.target_NK2, find_mapping(IBUG, FIVE).points(POINTS))
    assert truth.visible_NK.tolist() == [[False, True, True, True, True]] * 3
    np.testing.assert_allclose(truth.sizes_N4, own_sizes(POINTS, np.ones((3, 68), dtype=bool), IBUG))
