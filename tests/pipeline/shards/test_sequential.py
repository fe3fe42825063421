"""A set read once, in its own order, whoever shares it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ShardError
from pipeline.shards import sequential
from pipeline.shards.manifest import load_manifest
from pipeline.shards.read import iterate_shard
from pipeline.shards.sequential import sequential_batches
from pipeline.shards.write import write_shard


def test_a_set_comes_in_manifest_order(toy_sets):
    folder = str(toy_sets["validation"])
    whole = [key for batch in sequential_batches(folder, 7) for key in batch.keys]
    manifest = load_manifest(folder)
    assert whole == [raw.key for s in manifest.shards for raw in iterate_shard(f"{folder}/{s.path}")]


@pytest.mark.parametrize("batch", [3, 4, 7, 32])
def test_batches_are_the_same_at_any_world_size(toy_sets, batch):
    folder = str(toy_sets["validation"])
    alone = [made.keys for made in sequential_batches(folder, batch)]
    for world_size in (2, 3, 8):
        shares = [
            [made.keys for made in sequential_batches(folder, batch, rank=r, world_size=world_size)]
            for r in range(world_size)
        ]
        assert [keys for share in shares for keys in share] == alone
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_rank_reads_its_own_part_of_the_set(make_toy_set, tmp_path, monkeypatch):
    folder = str(make_toy_set(tmp_path / "set", 24, samples_per_shard=4))
    opened = []
    monkeypatch.setattr(sequential, "iterate_shard", lambda url: opened.append(url[-5]) or iterate_shard(url))
    for rank, own in enumerate(("01", "12", "34", "45")):  # 6 samples each: a shard and a half
        assert sum(len(batch.keys) for batch in sequential_batches(folder, 2, rank=rank, world_size=4)) == 6
        assert "".join(opened) == own
        opened.clear()


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(1, 12))
def test_runs_are_dealt_whole_and_evenly(count, world_size):
    runs = [sequential.share_of(count, rank, world_size) for rank in range(world_size)]
    assert [i for start, stop in runs for i in range(start, stop)] == list(range(count))


def test_a_shard_that_lost_samples_is_named(make_toy_set, tmp_path):
    folder = make_toy_set(tmp_path / "set", 8, samples_per_shard=4)
    first = folder / "shard-000000.tar"
    write_shard(str(first), list(iterate_shard(str(first)))[:3])
    with pytest.raises(ShardError, match=r"shard-000000\.tar: holds 3 samples, the manifest says 4"):
        list(sequential_batches(str(folder), 4))
