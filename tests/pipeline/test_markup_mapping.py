"""Mappings between markups, on numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.markup import Markup, load_markup
from pipeline.markup_difference import MarkupDifference
from pipeline.markup_mapping import find_mapping

FOUR = Markup("four", 4, (), (), mappings=(("two", ((0,), ())), ("three", ((0,), (1, 2), (3, 3, 1)))))
THREE = Markup("three", 3, (), (), mappings=(("two", ((0,), (1, 2))),))
TWO = Markup("two", 2, (), ())
POINTS = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 7.0], [8.0, 9.0]])


def test_a_target_is_the_mean_of_its_sources():
    mapping = find_mapping(FOUR, THREE)
    np.testing.assert_allclose(mapping.points(POINTS), [[0, 1], [3, 5], [6, 7]])
    many = np.stack([POINTS, POINTS + 1])[None]
    np.testing.assert_allclose(mapping.points(many)[0, 1], [[1, 2], [4, 6], [7, 8]])
    assert mapping.common_T.all()


def test_unknown_and_invisible_sources_reach_only_their_own_targets():
    mapping = find_mapping(FOUR, THREE)
    points = POINTS.copy()
    points[2] = np.nan
    mapped = mapping.points(points)
    np.testing.assert_allclose(mapped[[0, 2]], [[0, 1], [6, 7]])
    assert np.isnan(mapped[1]).all()
    assert mapping.visible(np.array([True, True, True, False])).tolist() == [True, True, False]
    assert mapping.visible(np.array([[True] * 4, [False] * 4])).tolist() == [[True] * 3, [False] * 3]


def test_a_landmark_without_counterpart_is_unknown():
    mapping = find_mapping(FOUR, TWO)  # said directly, though a chain through 'three' would know more
    assert mapping.common_T.tolist() == [True, False]
    assert np.isnan(mapping.points(POINTS)).tolist() == [[False, False], [True, True]]
    assert mapping.visible(np.ones(4, dtype=bool)).tolist() == [True, False]


def test_chains_multiply_and_lose_what_either_link_lacks():
    chain = find_mapping(FOUR, THREE).then(find_mapping(THREE, TWO))
    np.testing.assert_allclose(chain.points(POINTS), [[0, 1], [4.5, 6]])
    lacking = Markup("four", 4, (), (), mappings=(("three", ((0,), (1,), ())),))
    chain = find_mapping(lacking, THREE).then(find_mapping(THREE, TWO))
    assert chain.common_T.tolist() == [True, False]
    assert np.isnan(chain.points(POINTS)[1]).all()


def test_ones_own_markup_reaches_further_through_packaged_ones():
    mine = Markup("mine", 70, (), (), mappings=(("ibug68", tuple((i + 1,) for i in range(68))),))
    points = np.random.default_rng(0).normal(size=(70, 2))
    ibug = load_markup("ibug68")
    mapped = find_mapping(mine, load_markup("aflw19")).points(points)
    np.testing.assert_allclose(mapped, find_mapping(ibug, load_markup("aflw19")).points(points[1:69]))
    np.testing.assert_allclose(find_mapping(mine, load_markup("mtfl5")).points(points)[2], points[31])


def test_to_itself_changes_nothing():
    np.testing.assert_array_equal(find_mapping(FOUR, FOUR).points(POINTS), POINTS)


def test_what_cannot_be_mapped_is_named():
    with pytest.raises(ConfigError, match=r"markup 'mtfl5' maps to no other, not to 'ibug68'; add 'mappings"):
        find_mapping(load_markup("mtfl5"), load_markup("ibug68"))
    with pytest.raises(
        ConfigError, match=r"'ibug68' maps to aflw19, cofw29, mtfl5, not to 'wflw98'; add 'mapp"
    ):
        find_mapping(load_markup("ibug68"), load_markup("wflw98"))
    short = Markup("short", 4, (), (), mappings=(("three", ((0,), (1,))),))
    with pytest.raises(
        ConfigError, match=r"'short', field 'mappings.three': 2 entries, 'three' has 3 landmarks; give one"
    ):
        find_mapping(short, THREE)


OFFSET = MarkupDifference(2.0, "by hand", ((0, (0.5, 0.25)),))
EYES = Markup(
    "eyes", 3, (), (), ocular=(0, 1), mappings=(("two", ((2,), (0, 1))),), differences=(("two", OFFSET),)
)


def test_a_measured_offset_turns_and_grows_with_the_face():
    mapping = find_mapping(EYES, TWO)
    upright = np.array([[0.0, 0.0], [4.0, 0.0], [1.0, 5.0]])
    np.testing.assert_allclose(mapping.points(upright), [[1 + 0.5 * 4, 5 + 0.25 * 4], [2, 0]])
    turned = 3 * np.stack(
        [-upright[:, 1], upright[:, 0]], -1
    )  # a quarter turn to the right, three times as large
    np.testing.assert_allclose(mapping.points(turned), 3 * np.array([[-6.0, 3.0], [0.0, 2.0]]))
    hidden = upright.copy()
    hidden[0] = np.nan
    assert np.isnan(mapping.points(hidden)).all()  # without the eye nobody knows how far
    assert mapping.differences == (OFFSET,)
    assert find_mapping(FOUR, THREE).differences == (None,)
    one = Markup("one", 1, (), (), mappings=())
    chain = find_mapping(EYES, TWO).then(find_mapping(replace(TWO, mappings=(("one", ((0,),)),)), one))
    np.testing.assert_allclose(chain.points(upright), [[3, 6]])
    assert chain.links == ("eyes", "two", "one")


@pytest.mark.parametrize(
    "mapping", [find_mapping(FOUR, THREE), find_mapping(EYES, TWO)], ids=["means", "offset"]
)
def test_mapped_covariances_are_those_of_mapped_draws(mapping):
    rng = np.random.default_rng(1)
    count = mapping.source.num_landmarks
    root = rng.normal(size=(count, 2, 2))
    covariance = root @ root.transpose(0, 2, 1)
    draws = np.einsum("kij,nkj->nki", root, rng.normal(size=(100_000, count, 2)))
    mapped = mapping.points(draws)
    expected = np.einsum("nti,ntj->tij", mapped, mapped) / len(mapped)
    np.testing.assert_allclose(mapping.covariances(covariance), expected, rtol=0.05, atol=0.05)
    assert mapping.covariances(np.stack([covariance] * 2)[None]).shape == (
        1,
        2,
        mapping.target.num_landmarks,
        2,
        2,
    )
    assert (find_mapping(FOUR, TWO).covariances(np.ones((4, 2, 2)))[1] == 0).all()


def test_a_scatter_is_the_mean_of_those_it_depends_on():
    np.testing.assert_allclose(
        find_mapping(FOUR, THREE).means(np.array([1.0, 2.0, 4.0, 7.0])), [1, 3, (2 + 14) / 3]
    )
    assert find_mapping(FOUR, TWO).means(np.ones(4)).tolist() == [1.0, 0.0]
