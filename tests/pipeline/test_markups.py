"""The packaged markups against each other, and against genuine annotations where they are there."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.optimize import linear_sum_assignment
from scipy.spatial import procrustes

from pipeline.datasets._pts import read_pts
from pipeline.markup import load_markup
from pipeline.markup_mapping import find_mapping

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "pipeline" / "markups").glob("*.yaml"))
SIZES = {"aflw19": 19, "cofw29": 29, "faces70": 70, "ibug68": 68, "mtfl5": 5, "wflw98": 98}
ON_THE_MIDLINE = {
    "aflw19": [13, 16, 18],
    "cofw29": [20, 21, 24, 25, 26, 27, 28],
    "faces70": [8, 27, 28, 29, 30, 33, 51, 57, 62, 66],
    "ibug68": [8, 27, 28, 29, 30, 33, 51, 57, 62, 66],
    "mtfl5": [2],
    "wflw98": [16, 51, 52, 53, 54, 57, 79, 85, 90, 94],
}


def mean_shape(shapes_NK2: np.ndarray, name: str) -> np.ndarray:
    """(K, 2) mean of the ten most frontal shapes, or of the more frontal half, each centred and scaled to unit size."""
    points = load_markup(name).five_points
    five_N52 = np.stack([shapes_NK2[:, list(point)].mean(axis=1) for point in points], axis=1)
    eyes = np.linalg.norm(five_N52[:, 1] - five_N52[:, 0], axis=1)
    turned = np.abs(five_N52[:, 2, 0] - five_N52[:, :2, 0].mean(axis=1)) / eyes
    shapes_NK2 = shapes_NK2[np.argsort(turned)[: max(10, len(shapes_NK2) // 2)]]
    centred = shapes_NK2 - shapes_NK2.mean(axis=1, keepdims=True)
    return (centred / np.linalg.norm(centred, axis=(1, 2), keepdims=True)).mean(axis=0)


def assert_same_layout(one_K2: np.ndarray, two_K2: np.ndarray, name: str, near: float) -> None:
    """Aligned, each landmark lies near its namesake (in units of the pupils' distance), and none nearer to another's."""
    one, two, _ = procrustes(one_K2, two_K2)
    left, right = (one[list(side)].mean(axis=0) for side in load_markup(name).pupils)
    apart = np.linalg.norm(one[:, None] - two, axis=-1) / np.linalg.norm(left - right)
    assert apart.diagonal().max() < near
    np.testing.assert_array_equal(linear_sum_assignment(apart**2)[1], np.arange(len(one)))


@pytest.fixture(scope="module")
def genuine(real_data) -> dict[str, np.ndarray]:
    """(N, K, 2) annotations of real faces by markup."""
    formats = real_data / "formats"
    if not formats.is_dir():
        pytest.skip(f"no annotation files at {formats}")
    wflw = {
        tuple(line.split()[:196]) for path in formats.glob("wflw/list_*.txt") for line in path.open()
    }  # faces occur in several lists
    mtfl = [line.split()[1:11] for path in formats.glob("mtfl/t*ing.txt") for line in path.open()]
    # A thousandth of 300-W's faces would do; its test halves are read in a second.
    w300 = [read_pts(path, 68) for path in sorted((real_data / "300w").glob("*/testset/*.pts"))]
    return {
        "wflw98": np.array(sorted(wflw), dtype=float).reshape(-1, 98, 2),
        "mtfl5": np.array(mtfl, dtype=float).reshape(-1, 2, 5).transpose(0, 2, 1),
        "ibug68": np.array(w300),
        "cofw68": np.array([loadmat(path)["Points"] for path in sorted(formats.glob("cofw68/*.mat"))]),
    }


def test_all_are_tested_here():
    assert set(SIZES) | {"menpo39"} >= set(NAMES)


@pytest.mark.parametrize("name", SIZES)
def test_size_and_midline(name):
    markup = load_markup(name)
    assert (markup.name, markup.num_landmarks) == (name, SIZES[name])
    flip = markup.flip_permutation
    np.testing.assert_array_equal(flip[flip], np.arange(SIZES[name]))
    assert np.flatnonzero(flip == np.arange(SIZES[name])).tolist() == ON_THE_MIDLINE[name]


@pytest.mark.parametrize("name", SIZES)
def test_mirroring_maps_contours_eyes_and_mouth_onto_each_other(name):
    markup = load_markup(name)
    flip = markup.flip_permutation
    edges = {frozenset(pair) for curve in markup.curves for pair in curve.segments}
    assert {frozenset(int(flip[i]) for i in pair) for pair in edges} == edges
    sides = [set(side) for side in markup.pupils]
    assert [{int(flip[i]) for i in side} for side in sides] == sides[::-1]
    five = [{int(flip[i]) for i in point} for point in markup.five_points]
    assert [five[i] for i in (1, 0, 2, 4, 3)] == [set(point) for point in markup.five_points]
    if markup.ocular is not None:
        assert flip[list(markup.ocular)].tolist() == list(markup.ocular[::-1])


DECLARED = [(name, target) for name in SIZES for target, _ in load_markup(name).mappings]


@pytest.mark.parametrize(("name", "target"), DECLARED)
def test_mapping_and_mirroring_commute(name, target):
    source, other = load_markup(name), load_markup(target)
    weights_TS = find_mapping(source, other).weights_TS
    mirrored_TS = weights_TS[other.flip_permutation][:, source.flip_permutation]
    # Mirrored, a turn is one to the other side.
    np.testing.assert_allclose(mirrored_TS.conj(), weights_TS, atol=1e-12)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["wflw98", "ibug68", "mtfl5"])
def test_the_mirrored_mean_of_real_faces_is_itself(genuine, name):
    mean_K2 = mean_shape(genuine[name], name)
    assert_same_layout(mean_K2, (mean_K2 * (-1, 1))[load_markup(name).flip_permutation], name, near=0.06)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["wflw98", "ibug68", "cofw29", "aflw19"])
def test_contours_run_along_real_faces(genuine, name):
    source = load_markup("wflw98")
    mapping = find_mapping(source, load_markup(name))
    points_K2 = mapping.points(mean_shape(genuine["wflw98"], "wflw98"))
    for curve in load_markup(name).curves:

        def length(indices, closed=curve.closed):
            chain = [*indices, indices[0]] if closed else indices
            return sum(np.linalg.norm(points_K2[a] - points_K2[b]) for a, b in pairwise(chain))

        order = list(curve.indices)
        for first in range(len(order)):
            for second in range(first):
                other = order.copy()
                other[first], other[second] = other[second], other[first]
                # Landmarks in the wrong order make the line go back and forth.
                assert length(other) >= length(order) - 1e-9, (curve.name, first, second)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "target"), [("wflw98", "ibug68"), ("ibug68", "mtfl5"), ("wflw98", "mtfl5")])
def test_mapped_mean_shapes_of_one_data_set_are_those_of_another(genuine, name, target):
    mapped_T2 = find_mapping(load_markup(name), load_markup(target)).points(mean_shape(genuine[name], name))
    assert_same_layout(mean_shape(genuine[target], target), mapped_T2, target, near=0.15)


def plain(markup):
    """Without measured offsets: two ways are compared of which one has them."""
    return replace(markup, differences=())


@pytest.mark.real_data
@pytest.mark.parametrize("target", ["cofw29", "aflw19", "mtfl5"])
def test_ways_through_other_markups_lead_to_the_same_places(genuine, target):
    """98 → T said directly and 98 → 68 → T, on the same real faces: each layout is read off twice."""
    wflw, ibug, other = load_markup("wflw98"), plain(load_markup("ibug68")), load_markup(target)
    faces = genuine["wflw98"]
    direct = find_mapping(wflw, other)
    through = find_mapping(wflw, load_markup("ibug68")).then(find_mapping(ibug, other))
    both = direct.common_T & through.common_T
    assert both.sum() == {"cofw29": 25, "aflw19": 19, "mtfl5": 5}[target]
    ocular = np.linalg.norm(faces[:, 60] - faces[:, 72], axis=-1)
    apart = np.linalg.norm(direct.points(faces) - through.points(faces), axis=-1)[:, both] / ocular[:, None]
    assert np.median(apart, axis=0).max() < 0.06


@pytest.mark.real_data
@pytest.mark.parametrize("source", ["wflw98", "ibug68"])
def test_29_to_19_leads_to_the_same_places(genuine, source):
    """98 → 29 → 19 and 68 → 29 → 19 against the direct ways."""
    first, cofw, aflw = plain(load_markup(source)), load_markup("cofw29"), load_markup("aflw19")
    faces = genuine[source]
    direct = find_mapping(first, aflw)
    through = find_mapping(first, cofw).then(find_mapping(cofw, aflw))
    both = direct.common_T & through.common_T
    # 300-W annotates no lower edges of the brows, so COFW's brow centres have no counterpart there.
    assert np.flatnonzero(~both).tolist() == ([] if source == "wflw98" else [1, 4])
    eyes = np.linalg.norm(direct.points(faces)[:, 6] - direct.points(faces)[:, 11], axis=-1)
    apart = np.linalg.norm(direct.points(faces) - through.points(faces), axis=-1)[:, both] / eyes[:, None]
    assert np.median(apart, axis=0).max() < 0.06


@pytest.mark.real_data
def test_cofw68_is_annotated_as_300w(genuine):
    means = [mean_shape(genuine[name], "ibug68") for name in ("ibug68", "cofw68")]
    assert_same_layout(*means, "ibug68", near=0.2)
