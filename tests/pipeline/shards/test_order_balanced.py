"""Balanced orders: 1, 2 and 4 workers serve the same global samples, and a resume in mid-epoch the same rest."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.shards import stream as stream_module
from pipeline.shards.manifest import load_manifest
from pipeline.shards.order import Balance, Order
from pipeline.shards.selection import Listed
from pipeline.shards.stream import SampleStream, _without


def served(order: Order, count: int, world_size: int, start: int = 0) -> list[int]:
    """The first ``count`` global samples from ``start`` on, as W ranks together would serve them."""
    emitted: dict[tuple[int, int], list[int]] = {}
    found = {}
    for rank in range(world_size):
        for index, epoch, stream in islice(order.positions(start, rank, world_size), -(-count // world_size)):
            if (epoch, stream) not in emitted:
                emitted[epoch, stream] = list(order.stream_order(epoch, stream))
            found[index] = emitted[epoch, stream][(index % order.samples) // order.streams]
    assert sorted(found) == list(range(start, start + len(found)))  # no sample twice, none left out
    return [found[i] for i in sorted(found)][:count]


@st.composite
def orders(draw) -> Order:
    shards = draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    total = sum(shards)
    chosen = draw(st.lists(st.integers(0, total - 1), min_size=1, max_size=total, unique=True))
    group = draw(st.lists(st.integers(0, 4), min_size=len(chosen), max_size=len(chosen)))
    balance = Balance(
        np.array(group, np.int64),
        draw(st.sampled_from(["undersample", "replicate"])),
        draw(st.one_of(st.none(), st.integers(1, 12))),
    )
    buffer, seed = draw(st.integers(1, 9)), draw(st.integers(0, 5))
    selection = Listed(np.sort(np.array(chosen, np.int64)), total)
    return Order(tuple(shards), 4, seed, buffer, selection, balance)


@settings(deadline=None, max_examples=150)
@given(orders(), st.integers(0, 30))
def test_workers_do_not_change_the_global_samples(order, start_batches):
    start = 4 * start_batches
    reference = served(order, 40, 1, start)
    for world_size in (2, 4):
        assert served(order, 40, world_size, start) == reference


@settings(deadline=None, max_examples=100)
@given(orders())
def test_every_epoch_takes_as_many_of_every_group_and_of_its_members(order):
    samples, size = served(order, 3 * order.samples, 1), order.samples
    group = dict(zip(order.ordinals().tolist(), order.balance.group.tolist(), strict=True))
    for epoch in range(3):
        times = Counter(samples[epoch * size : (epoch + 1) * size])
        taken = Counter(group[o] for o in times.elements())
        assert set(taken) == set(group.values())
        assert set(taken.values()) == {size // len(taken)}
        for one in taken:
            each = [times[o] for o in group if group[o] == one]
            assert max(each) - min(each) <= 1  # nobody is repeated while another waits


@settings(deadline=None, max_examples=60)
@given(orders(), st.integers(0, 3))
def test_each_group_of_its_own_size_is_today_s_order(order, epoch):
    """One group, taken whole, is no balancing: bit for bit the order without it."""
    plain = Order(order.shard_samples, 4, order.seed, order.buffer, order.selection)
    alike = Order(
        order.shard_samples,
        4,
        order.seed,
        order.buffer,
        order.selection,
        Balance(np.zeros(plain.samples, np.int64), "undersample"),
    )
    for stream in range(4):
        assert list(alike.stream_order(epoch, stream)) == list(plain.stream_order(epoch, stream))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 4)), max_size=9, unique_by=lambda t: t[0]),
    st.data(),
)
def test_what_is_done_is_taken_off_as_often_as_it_was_done(copies, data):
    sequence = [
        ordinal for ordinal, times in copies for _ in range(times)
    ]  # copies are neighbours, as a stream reads them
    done = data.draw(st.permutations(sequence))
    done = done[: data.draw(st.integers(0, len(done)))]
    left = _without(np.array(sequence, np.int64), np.array(done, np.int64)).tolist()
    assert Counter(left) + Counter(done) == Counter(sequence)
    rest = iter(sequence)
    assert all(one in rest for one in left)  # in the order of the sequence


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_toy_set) -> str:
    return str(
        make_toy_set(tmp_path_factory.mktemp("worlds"), 60, seed=6, samples_per_shard=5, role="unlabelled")
    )


GROUP = np.array([0] * 40 + [1] * 17 + [2] * 3)


@pytest.mark.parametrize("streams", [4, 16], ids=["by-shard", "by-sample"])
@pytest.mark.parametrize(
    ("kind", "per_group"), [("undersample", None), ("replicate", None), ("replicate", 7)]
)
def test_four_workers_read_what_one_reads_from_any_position(folder, streams, kind, per_group):
    shards = tuple(s.samples for s in load_manifest(folder).shards)
    order = Order(shards, streams, 2, buffer=6, balance=Balance(GROUP, kind, per_group))
    assert order.by_sample == (streams == 16)
    whole = [(s.ordinal, s.raw.key) for s in islice(SampleStream(folder, order), 288)]
    for start in (0, 4, 64, order.samples - order.samples % 4):
        for world_size in (1, 2, 4):
            ranks = [
                [(s.ordinal, s.raw.key) for s in islice(stream, 96 // world_size)]
                for stream in (
                    SampleStream(folder, order, rank=r, world_size=world_size, start=start)
                    for r in range(world_size)
                )
            ]
            assert [ranks[i % world_size][i // world_size] for i in range(96)] == whole[start : start + 96]


def test_a_repeated_sample_is_read_once_from_its_tar(folder, monkeypatch):
    read = Counter()
    real = stream_module.iterate_shard

    def counting(url):
        read[url] += 1
        return real(url)

    monkeypatch.setattr(stream_module, "iterate_shard", counting)
    shards = tuple(s.samples for s in load_manifest(folder).shards)
    order = Order(shards, 2, 0, buffer=8, balance=Balance(GROUP, "replicate"))
    list(islice(SampleStream(folder, order), order.samples))
    # Two streams may share the shard at which the sequence is cut.
    assert sum(read.values()) <= len(shards) + 1
