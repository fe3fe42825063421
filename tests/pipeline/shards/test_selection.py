"""Ordinals that are not held: whatever is asked of them, the answer is that of the list itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.shards import selection
from pipeline.shards.selection import Drawn, Everything, Joined, Listed, draw, nested_subset


def by_sorting(total: int, count: int, seed: int) -> np.ndarray:
    """The draw as it was defined before there were sets too large to sort: the places of the smallest keys."""
    keys = np.random.PCG64(np.random.SeedSequence((seed, 4))).random_raw(total)
    return np.sort(np.argsort(keys, kind="stable")[:count])


@st.composite
def bases(drawn, depth=2):
    """(selection, the ordinals it stands for)."""
    kind = drawn(st.sampled_from(["everything", "listed", "drawn", "joined"][: 2 if depth == 0 else 4]))
    if kind == "everything":
        count = drawn(st.integers(1, 40))
        return Everything(count), np.arange(count)
    if kind == "listed":
        total = drawn(st.integers(1, 40))
        chosen = np.array(sorted(drawn(st.lists(st.integers(0, total - 1), min_size=1, max_size=50))))
        return Listed(chosen, total), chosen
    if kind == "drawn":
        base, ordinals = drawn(bases(depth - 1))
        if not len(ordinals):
            return base, ordinals
        count, seed = drawn(st.integers(1, len(ordinals))), drawn(st.integers(0, 3))
        taken = by_sorting(len(ordinals), count, seed)
        if drawn(st.booleans()):
            return Drawn(base, count, seed, others=True), np.delete(ordinals, taken)
        return draw(base, count, seed), ordinals[taken]
    parts = drawn(st.lists(bases(depth - 1), min_size=1, max_size=3))
    starts = np.cumsum([0, *(part.total for part, _ in parts)])
    pieces = [start + ordinals for start, (_, ordinals) in zip(starts, parts, strict=False)]
    return Joined([part for part, _ in parts]), np.concatenate(pieces)


@settings(max_examples=150, deadline=None)
@given(bases(), st.data(), st.sampled_from([4, 7, 1 << 16]))
def test_every_answer_is_that_of_the_list(made, data, block):
    chosen, ordinals = made
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_BLOCK", block)
        assert len(chosen) == len(ordinals)
        assert chosen.all().tolist() == ordinals.tolist()
        edges = np.array(sorted(data.draw(st.lists(st.integers(0, chosen.total), max_size=8))), np.int64)
        assert chosen.ranks(edges).tolist() == np.searchsorted(ordinals, edges).tolist()
        start = data.draw(st.integers(0, chosen.total))
        stop = data.draw(st.integers(start, chosen.total))
        expected = ordinals[(ordinals >= start) & (ordinals < stop)]
        assert chosen.within(start, stop).tolist() == expected.tolist()


@pytest.mark.parametrize("count", [1, 2, 70_001, 199_999, 200_000])
def test_a_draw_from_a_set_too_large_to_sort_is_the_sorted_one(count):
    np.testing.assert_array_equal(nested_subset(200_000, count, 3), by_sorting(200_000, count, 3))


def test_a_first_guess_of_the_cut_that_misses_is_widened(monkeypatch):
    windows, whole = [], Drawn._window
    monkeypatch.setattr(
        selection.math, "sqrt", lambda _: 0.0
    )  # no standard deviation: the first window is too narrow
    monkeypatch.setattr(Drawn, "_window", lambda *a: windows.append(a[1:]) or whole(*a))
    np.testing.assert_array_equal(nested_subset(200_000, 90_000, 5), by_sorting(200_000, 90_000, 5))
    assert len(windows) > 1


def test_equal_keys_are_drawn_by_place(monkeypatch):
    keys = np.array([5, 1, 5, 5, 9, 1], dtype=np.uint64)
    monkeypatch.setattr(Drawn, "_keys", lambda self, start, stop: keys[start:stop])
    for block in (2, 3, 6):
        monkeypatch.setattr(selection, "_BLOCK", block)
        found = [draw(Everything(6), count, 0).all().tolist() for count in range(1, 7)]
        assert found == [[1], [1, 5], [0, 1, 5], [0, 1, 2, 5], [0, 1, 2, 3, 5], [0, 1, 2, 3, 4, 5]]
        assert Drawn(Everything(6), 4, 0, others=True).all().tolist() == [3, 4]


@settings(deadline=None)
@given(st.integers(2, 200), st.integers(0, 5), st.data())
def test_subsets_nest(total, seed, data):
    large = data.draw(st.integers(2, total))
    small = data.draw(st.integers(1, large - 1))
    assert set(nested_subset(total, small, seed)) < set(nested_subset(total, large, seed))


def test_subset_larger_than_the_set_is_refused():
    with pytest.raises(ConfigError, match="subset of 11 samples.*holds 10"):
        nested_subset(10, 11, 0)


def test_golden_draw_is_stable_across_releases():
    # Written down once: a change here means that a label budget of earlier releases is other faces.
    assert nested_subset(60, 10, 3).tolist() == GOLDEN


GOLDEN = [2, 3, 6, 13, 27, 29, 49, 52, 57, 58]
