"""Several sets read as one: every face once an epoch, from whichever set, and no landmarks."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.shards.joined import join_unlabelled, open_set
from pipeline.shards.loader import BatchLoader
from pipeline.shards.manifest import load_manifest
from pipeline.shards.order import Order
from pipeline.shards.read import iterate_shard
from pipeline.shards.selection import Listed
from pipeline.shards.stream import SampleStream


@pytest.fixture(scope="module")
def folders(tmp_path_factory, make_toy_set) -> list[str]:
    root = tmp_path_factory.mktemp("joined")
    corpus = make_toy_set(root / "corpus", 20, seed=1, role="unlabelled", samples_per_shard=6)
    labelled = make_toy_set(root / "labelled", 15, seed=2, samples_per_shard=4)
    return [str(corpus), str(labelled)]


def joined(folders):
    return join_unlabelled([(folder, load_manifest(folder)) for folder in folders])


def keys_of(folder: str) -> list[str]:
    return [
        raw.key for s in load_manifest(folder).shards for raw in iterate_shard(str(Path(folder) / s.path))
    ]


@pytest.mark.parametrize("streams", [4, 32], ids=["by-shard", "by-sample"])
def test_an_epoch_is_both_sets_and_ordinals_run_through_them(folders, streams):
    sets = joined(folders)
    assert sets.shard_samples == (6, 6, 6, 2, 4, 4, 4, 3)
    assert sets.samples == 35
    samples = list(islice(SampleStream(sets, Order(sets.shard_samples, streams, 3, 4)), 35))
    by_ordinal = {s.ordinal: s.raw.key for s in samples}
    assert [by_ordinal[i] for i in range(35)] == keys_of(folders[0]) + keys_of(folders[1])


def test_a_selection_takes_part_and_a_resume_goes_on_in_it(folders):
    sets, chosen = joined(folders), np.array([0, 3, 19, 20, 22, 34])
    order = Order(sets.shard_samples, 4, 3, 4, Listed(chosen, sets.samples))
    whole = [s.ordinal for s in islice(SampleStream(sets, order), 12)]
    assert sorted(whole[:6]) == sorted(whole[6:]) == chosen.tolist()
    assert [s.ordinal for s in islice(SampleStream(sets, order, start=5), 7)] == whole[5:]


def test_landmarks_of_a_labelled_set_are_not_read(folders):
    sets = joined(folders)
    loader = BatchLoader(SampleStream(sets, Order(sets.shard_samples, 4, 3, 4)), 35)
    try:
        batch = loader.next()
    finally:
        loader.close()
    assert batch.points_BK2.shape == (35, 0, 2)
    assert batch.visible_BK.shape == (35, 0)
    assert bool(batch.valid_B.all())
    assert open_set(folders[1]).num_landmarks == 68


def test_images_of_two_sizes_do_not_go_into_one_batch(folders, tmp_path, make_toy_set):
    other = str(make_toy_set(tmp_path / "large", 4, role="unlabelled", size=96))
    with pytest.raises(ConfigError, match=r"large holds images of 96 px .* of 80 px .*prepared alike"):
        joined([*folders, other])
