"""The order of samples: exact epochs, independent of the number of workers, a pure function of (seed, epoch, C)."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.shards import order as order_module
from pipeline.shards.order import Order, check_world_size, order_for, shuffle_buffer
from pipeline.shards.selection import Everything, Selection, nested_subset


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


def eager_sequences(counts, streams, seed, epoch, chosen):
    """The order as it was defined before it was worked out lazily: the whole epoch's sequence, cut into pieces."""

    def permuted(n, domain):
        keys = np.random.PCG64(np.random.SeedSequence((seed, epoch, domain))).random_raw(n)
        return np.argsort(keys, kind="stable")

    starts = np.concatenate([[0], np.cumsum(counts)])
    shards = [chosen[(chosen >= starts[s]) & (chosen < starts[s + 1])] for s in range(len(counts))]
    if sum(len(shard) > 0 for shard in shards) < streams:
        places = permuted(len(chosen), 2)
        return [chosen[places[stream::streams]] for stream in range(streams)]
    sequence = np.concatenate([shards[s] for s in permuted(len(counts), 1)])
    return np.array_split(sequence, streams)  # the first N mod C pieces are one longer


@settings(deadline=None, max_examples=80)
@given(shards, st.sampled_from([1, 2, 4, 8]), st.integers(0, 5), st.integers(0, 2), st.data())
def test_what_is_worked_out_lazily_is_the_whole_sequence_s(counts, streams, seed, epoch, data):
    count = data.draw(st.one_of(st.none(), st.integers(1, sum(counts))))
    order = order_for(counts, streams=streams, seed=seed, buffer=3, count=count, subset_seed=9)
    expected = eager_sequences(counts, streams, seed, epoch, nested_subset(sum(counts), count, 9))
    found = [order.stream_sequence(epoch, stream) for stream in range(streams)]
    assert [part.tolist() for part in found] == [part.tolist() for part in expected]


def test_long_streams_draw_their_numbers_in_parts_that_change_nothing(monkeypatch):
    whole = list(shuffle_buffer(np.arange(100), 7, 3))
    monkeypatch.setattr(order_module, "_DRAWS", 5)
    assert list(shuffle_buffer(np.arange(100), 7, 3)) == whole


class Asked(Selection):
    """The whole of a set that counts which ordinals are worked out."""

    def __init__(self, total: int) -> None:
        self.whole, self.worked_out = Everything(total), 0

    @property
    def total(self) -> int:
        return self.whole.total

    def __len__(self) -> int:
        return len(self.whole)

    def ranks(self, edges_E):
        return self.whole.ranks(edges_E)

    def within(self, start, stop):
        self.worked_out += stop - start
        return self.whole.within(start, stop)


def test_a_rank_works_out_no_more_than_its_own_streams():
    # A hundred million samples in ten thousand shards: held as a list, 800 MB.
    selection = Asked(10**8)
    order = Order((10_000,) * 10_000, 512, 0, selection=selection)
    sequence = order.stream_sequence(3, 17)
    assert len(sequence) == len(np.unique(sequence)) == order.stream_length(17)
    assert selection.worked_out <= order.stream_length(17) + 2 * 10_000


def test_world_that_would_change_the_order_is_refused():
    check_world_size(4, 64, 16)
    with pytest.raises(ConfigError, match="3 workers do not divide data.streams = 64"):
        check_world_size(3, 64, 12)
    with pytest.raises(ConfigError, match="batch of 10 cannot be shared evenly by 4"):
        check_world_size(4, 64, 10)
