"""Reading in canonical order: by shard and by sample, from any position, skipping what a resume does not need."""

from itertools import islice
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.shards import stream as stream_module
from pipeline.shards.manifest import load_manifest
from pipeline.shards.order import order_for
from pipeline.shards.read import iterate_shard
from pipeline.shards.stream import SampleStream


@pytest.fixture(scope="module")
def small(tmp_path_factory, make_toy_set) -> Path:
    return make_toy_set(tmp_path_factory.mktemp("stream"), 50, samples_per_shard=6, role="unlabelled")


def keys(folder, streams, count, *, world_size=1, rank=0, start=0, subset=None, buffer=4) -> list[str]:
    counts = [s.samples for s in load_manifest(str(folder)).shards]
    order = order_for(counts, streams=streams, seed=5, buffer=buffer, count=subset)
    samples = SampleStream(str(folder), order, rank=rank, world_size=world_size, start=start)
    return [s.raw.key for s in islice(samples, count)]


@pytest.mark.parametrize("streams", [4, 32], ids=["by-shard", "by-sample"])
def test_ranks_together_serve_the_single_rank_sequence(small, streams):
    whole = keys(small, streams, 120)
    assert len(set(whole[:50])) == 50
    for world_size in (2, 4):
        ranks = [
            keys(small, streams, 120 // world_size, world_size=world_size, rank=r) for r in range(world_size)
        ]
        assert [ranks[i % world_size][i // world_size] for i in range(120)] == whole


@pytest.mark.parametrize("streams", [4, 32], ids=["by-shard", "by-sample"])
@pytest.mark.parametrize("start", [1, 7, 49, 50, 63, 137])
def test_resume_continues_exactly(small, streams, start):
    whole = keys(small, streams, 200)
    assert keys(small, streams, 40, start=start) == whole[start : start + 40]


def test_order_is_the_one_the_order_says(small):
    folder = str(small)
    manifest = load_manifest(folder)
    by_ordinal = [raw.key for s in manifest.shards for raw in iterate_shard(f"{folder}/{s.path}")]
    order = order_for([s.samples for s in manifest.shards], streams=4, seed=5, buffer=4)
    emitted = [list(order.stream_order(0, c)) for c in range(4)]
    expected = [by_ordinal[emitted[j % 4][j // 4]] for j in range(50)]
    assert keys(small, 4, 50) == expected


def test_subset_reads_only_its_samples(small):
    epoch = keys(small, 4, 12, subset=12)
    assert len(set(epoch)) == 12
    assert set(keys(small, 32, 12, subset=12)) == set(epoch)


def test_resume_skips_whole_shards_unread(small, monkeypatch):
    opened = []
    real = stream_module.iterate_shard

    def counting(url):
        opened.append(url)
        return real(url)

    monkeypatch.setattr(stream_module, "iterate_shard", counting)
    keys(small, 2, 50, buffer=2)
    whole = len(set(opened))
    opened.clear()
    keys(small, 2, 6, start=44, buffer=2)
    assert whole == 9
    assert len(set(opened)) <= 4


def test_truncated_tar_costs_its_tail_and_nothing_else(small, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(small, broken)
    first = broken / load_manifest(str(broken)).shards[0].path
    content = first.read_bytes()
    first.write_bytes(content[: len(content) // 2])
    counts = [s.samples for s in load_manifest(str(broken)).shards]
    for streams in (4, 32):
        samples = list(
            islice(SampleStream(str(broken), order_for(counts, streams=streams, seed=5, buffer=4)), 50)
        )
        bad = [s for s in samples if s.raw is None]
        assert 1 <= len(bad) < 6
        assert all(first.name in s.problem for s in bad)
        assert {s.ordinal for s in samples} == set(range(50))


def test_set_too_large_for_memory_says_what_to_do(small, monkeypatch):
    monkeypatch.setattr(stream_module, "IN_MEMORY_LIMIT_BYTES", 1000)
    with pytest.raises(ConfigError, match="smaller samples_per_shard, or lower data.streams"):
        keys(small, 32, 1)


def test_order_of_another_set_is_refused(small):
    with pytest.raises(ConfigError, match="other shards"):
        SampleStream(str(small), order_for([10, 40], streams=2, seed=0, buffer=1))
