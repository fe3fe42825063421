"""A set read once, in its own order, whoever shares it."""

from pipeline.shards.manifest import load_manifest
from pipeline.shards.read import iterate_shard
from pipeline.shards.sequential import sequential_batches


def test_ranks_share_the_set_in_manifest_order(toy_sets):
    folder = str(toy_sets["validation"])
    whole = [key for batch in sequential_batches(folder, 7) for key in batch.keys]
    manifest = load_manifest(folder)
    assert whole == [raw.key for s in manifest.shards for raw in iterate_shard(f"{folder}/{s.path}")]
    for world_size in (2, 3):
        shares = [
            [
                key
                for batch in sequential_batches(folder, 4, rank=r, world_size=world_size)
                for key in batch.keys
            ]
            for r in range(world_size)
        ]
        assert [shares[i % world_size][i // world_size] for i in range(20)] == whole
