"""Balanced orders: equal shares of every group, the same batches for any number of workers, and any position to resume from."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.shards.manifest import load_manifest
from pipeline.shards.order import Balance, Order, order_for
from pipeline.shards.stream import SampleStream

SHARDS = (7, 9, 5, 8, 6, 7)
GROUP = np.array([0] * 20 + [1] * 15 + [2] * 5 + [4] * 2)


def order(kind: str, streams: int = 4, per_group: int | None = None, **options) -> Order:
    return Order(SHARDS, streams, 11, balance=Balance(GROUP, kind, per_group), **options)


def epoch_of(made: Order, epoch: int) -> list[int]:
    streams = [made.stream_order(epoch, s) for s in range(made.streams)]
    return [next(streams[j % made.streams]) for j in range(made.samples)]


def test_undersampling_takes_the_smallest_groups_number_of_each():
    made = order("undersample")
    assert made.samples == 4 * 2
    epochs = [epoch_of(made, e) for e in range(40)]
    for chosen in epochs:
        assert len(set(chosen)) == 8
        assert Counter(GROUP[chosen].tolist()) == {0: 2, 1: 2, 2: 2, 4: 2}
    assert len({tuple(sorted(e)) for e in epochs}) > 30
    assert {i for e in epochs for i in e} == set(range(42))  # over the epochs everybody is seen


def test_replication_repeats_the_smaller_groups():
    made = order("replicate")
    assert made.samples == 4 * 20
    times = Counter(epoch_of(made, 3))
    assert Counter(GROUP[list(times.elements())].tolist()) == {0: 20, 1: 20, 2: 20, 4: 20}
    assert {times[i] for i in range(20)} == {1}
    assert {times[i] for i in range(20, 35)} == {1, 2}
    assert {times[i] for i in range(35, 40)} == {4}
    assert {times[i] for i in (40, 41)} == {10}


def test_a_number_of_each_thins_out_some_and_repeats_others():
    times = Counter(epoch_of(order("undersample", per_group=6), 0))
    assert Counter(GROUP[list(times.elements())].tolist()) == {0: 6, 1: 6, 2: 6, 4: 6}
    assert max(times[i] for i in range(35)) == 1
    assert {times[i] for i in (40, 41)} == {3}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["undersample", "replicate"]), st.sampled_from([1, 2, 4, 6]), st.integers(1, 30), st.integers(0, 5),
    st.one_of(st.none(), st.integers(1, 9)),
)  # fmt: skip
def test_every_world_sees_the_same_global_samples(kind, streams, buffer, epoch, per_group):
    made = order(kind, streams, per_group, buffer=buffer)
    whole = epoch_of(made, epoch)
    assert Counter(whole) == Counter(made.ordinals()[made.balance.choose(11, epoch)].tolist())
    for world_size in (w for w in (1, 2, 3) if streams % w == 0):
        for rank in range(world_size):
            places = list(
                islice(made.positions(epoch * made.samples, rank, world_size), made.samples // world_size)
            )
            assert all(
                index % world_size == rank for index, _, _ in places if epoch * made.samples % world_size == 0
            )


def test_subsets_are_balanced_within_themselves():
    made = order_for(
        SHARDS, streams=2, seed=0, buffer=4, count=10, balance=Balance(np.arange(10) % 2, "undersample")
    )
    assert made.samples == 10
    assert set(epoch_of(made, 0)) == set(made.ordinals().tolist())


def test_groups_must_be_those_of_the_samples():
    with pytest.raises(ConfigError, match="10 groups were given for 42 samples"):
        Order(SHARDS, 2, 0, balance=Balance(np.zeros(10, np.int64), "undersample"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_toy_set):
    return str(make_toy_set(tmp_path_factory.mktemp("balanced"), 42, seed=5, samples_per_shard=7))


@pytest.mark.parametrize("streams", [2, 16], ids=["by shard", "by sample"])
@pytest.mark.parametrize("kind", ["undersample", "replicate"])
def test_streams_read_what_the_order_says_from_any_position_on(folder, kind, streams):
    manifest = load_manifest(folder)
    made = Order(
        tuple(s.samples for s in manifest.shards), streams, 3, buffer=5, balance=Balance(GROUP, kind)
    )
    assert made.by_sample == (streams == 16)
    total = 2 * made.samples + 5
    whole = list(islice(SampleStream(folder, made), total))
    expected = [i for e in range(3) for i in epoch_of(made, e)][:total]
    assert [s.ordinal for s in whole] == expected
    keys = {s.ordinal: s.raw.key for s in whole}
    assert len(set(keys.values())) == len(keys)
    for start in (1, 6, made.samples - 1, made.samples + 3):
        resumed = list(islice(SampleStream(folder, made, start=start), total - start))
        assert [(s.index, s.ordinal, s.raw.key) for s in resumed] == [
            (s.index, s.ordinal, s.raw.key) for s in whole[start:]
        ]
    shared = sorted(
        (s.index, s.ordinal)
        for r in range(2)
        for s in islice(SampleStream(folder, made, rank=r, world_size=2), total // 2)
    )
    assert shared == [(s.index, s.ordinal) for s in whole[: 2 * (total // 2)]]
