"""The order of samples: exact epochs, independent of the number of workers, a pure function of (seed, epoch, C)."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.shards.order import Order, check_world_size, nested_subset, order_for, shuffle_buffer


def first_global(order: Order, count: int, world_size: int, start: int = 0) -> list[int]:
    """The first ``count`` global samples from ``start`` on, as W ranks together would serve them."""
    served = {}
    for rank in range(world_size):
        emitted: dict[tuple[int, int], list[int]] = {}
        for index, epoch, stream in islice(order.positions(start, rank, world_size), -(-count // world_size)):
            if (epoch, stream) not in emitted:
                emitted[epoch, stream] = list(order.stream_order(epoch, stream))
            served[index] = emitted[epoch, stream][(index % order.samples) // order.streams]
    return [served[i] for i in sorted(served)][:count]


shards = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(shards, st.sampled_from([1, 2, 4, 8]), st.integers(0, 5), st.integers(1, 7), st.data())
def test_every_epoch_is_a_permutation(counts, streams, seed, buffer, data):
    total = sum(counts)
    count = data.draw(st.one_of(st.none(), st.integers(1, total)))
    order = order_for(counts, streams=streams, seed=seed, buffer=buffer, count=count, subset_seed=seed)
    chosen = nested_subset(total, count, seed).tolist()
    samples = first_global(order, 3 * order.samples, 1)
    for epoch in range(3):
        assert sorted(samples[epoch * order.samples : (epoch + 1) * order.samples]) == chosen


@settings(deadline=None, max_examples=40)
@given(shards, st.integers(0, 5), st.integers(1, 7), st.integers(0, 40))
def test_world_size_does_not_change_global_batches(counts, seed, buffer, start_batches):
    order = order_for(counts, streams=8, seed=seed, buffer=buffer)
    start = 8 * start_batches
    reference = first_global(order, 40, 1, start)
    for world_size in (2, 4, 8):
        assert first_global(order, 40, world_size, start) == reference


def test_resume_position_continues_the_same_sequence():
    order = order_for([5, 7, 3, 6, 4, 9, 2, 8, 5], streams=4, seed=3, buffer=3)
    whole = first_global(order, 120, 1)
    assert first_global(order, 60, 1, start=60) == whole[60:]


def test_epochs_and_seeds_differ():
    order = order_for([16] * 8, streams=4, seed=0, buffer=8)
    first, second = np.array_split(np.array(first_global(order, 256, 1)), 2)
    assert first.tolist() != second.tolist()
    other = order_for([16] * 8, streams=4, seed=1, buffer=8)
    assert first_global(other, 128, 1) != first.tolist()


def test_golden_order_is_stable_across_releases():
    # Written down once: a change here means that runs of earlier releases no longer resume to the same samples.
    order = order_for([4, 4, 4, 4], streams=2, seed=7, buffer=3)
    assert first_global(order, 16, 1) == GOLDEN


GOLDEN = [4, 0, 5, 1, 8, 2, 9, 13, 7, 3, 6, 15, 11, 12, 10, 14]


def test_streams_of_a_large_set_differ_by_at_most_one_sample():
    order = order_for([10] * 9 + [3], streams=8, seed=0, buffer=4)
    lengths = [order.stream_length(c) for c in range(8)]
    assert max(lengths) - min(lengths) <= 1
    assert sum(lengths) == 93


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 12), st.integers(0, 9))
def test_shuffle_buffer_is_a_bounded_permutation(n, capacity, seed):
    out = list(shuffle_buffer(np.arange(n), capacity, seed))
    assert sorted(out) == list(range(n))
    # The k-th output is among the first k + capacity inputs: what bounds a reader's memory.
    assert all(value < k + capacity for k, value in enumerate(out))


def test_shuffle_buffer_mixes():
    positions = np.array([list(shuffle_buffer(np.arange(64), 16, seed)).index(0) for seed in range(400)])
    # An element waits geometrically long with mean ≈ capacity.
    assert 12 < positions.mean() < 20


@settings(deadline=None)
@given(st.integers(2, 200), st.integers(0, 5), st.data())
def test_subsets_nest(total, seed, data):
    large = data.draw(st.integers(2, total))
    small = data.draw(st.integers(1, large - 1))
    assert set(nested_subset(total, small, seed)) < set(nested_subset(total, large, seed))


def test_subset_larger_than_the_set_is_refused():
    with pytest.raises(ConfigError, match="subset of 11 samples.*holds 10"):
        nested_subset(10, 11, 0)


def test_world_that_would_change_the_order_is_refused():
    check_world_size(4, 64, 16)
    with pytest.raises(ConfigError, match="3 workers do not divide data.streams = 64"):
        check_world_size(3, 64, 12)
    with pytest.raises(ConfigError, match="batch of 10 cannot be shared evenly by 4"):
        check_world_size(4, 64, 10)
