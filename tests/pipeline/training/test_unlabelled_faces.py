"""The field's protocol: what the label budget leaves is unlabelled; labelled and unlabelled faces never meet."""

import pytest

from pipeline.errors import ConfigError, ManifestError
from pipeline.shards.manifest import load_manifest
from pipeline.shards.selection import nested_subset
from pipeline.training.config.data import DataConfig
from pipeline.training.unlabelled_faces import open_unlabelled


@pytest.fixture(scope="module")
def data(toy_sets):
    def make(unlabelled, **fields) -> DataConfig:
        return DataConfig(train=str(toy_sets["train"]), unlabelled=unlabelled, **fields)

    return make


def faces(config: DataConfig):
    return open_unlabelled(config, load_manifest(config.train))


def test_one_path_stands_for_one_corpus(data, toy_sets):
    path = str(toy_sets["unlabelled"])
    assert data(path) == data({"corpora": [path]})
    opened = faces(data(path))
    assert (opened.chosen.all().tolist(), opened.sets.num_landmarks) == (list(range(90)), 0)
    assert opened.order(data(path), 1).selection is None


def test_labelled_and_remainder_are_all_faces_and_share_none(data):
    for count in (1, 17, 59):
        rest = set(
            faces(data({"remainder": True}, labelled_count=count, subset_seed=4)).chosen.all().tolist()
        )
        labelled = set(nested_subset(60, count, 4).tolist())
        assert rest | labelled == set(range(60))
        assert not rest & labelled


def test_a_larger_budget_leaves_a_part_of_what_a_smaller_one_does(data):
    left = [
        set(faces(data({"remainder": True}, labelled_count=n)).chosen.all().tolist()) for n in (10, 30, 50)
    ]
    assert left[0] > left[1] > left[2]


def test_corpora_and_remainder_are_one_pool_of_which_counts_nest(data, toy_sets):
    both = {"corpora": [str(toy_sets["unlabelled"])], "remainder": True}
    opened = faces(data(both, labelled_count=20))
    assert len(opened.chosen) == 130
    assert set(opened.chosen.all()[90:] - 90) == set(range(60)) - set(nested_subset(60, 20, 0).tolist())
    few, many = (
        set(faces(data(both, labelled_count=20, unlabelled_count=n)).chosen.all().tolist()) for n in (13, 77)
    )
    assert few < many < set(opened.chosen.all().tolist())


def test_what_cannot_be_is_refused(data, toy_sets):
    with pytest.raises(ValueError, match="all are labelled"):
        data({"remainder": True})
    with pytest.raises(ValueError, match="names no faces"):
        data({})
    with pytest.raises(ConfigError, match="takes all 60 faces there are"):
        faces(data({"remainder": True}, labelled_count=60))
    with pytest.raises(ConfigError, match="data.unlabelled_count = 41: there are 40 unlabelled faces"):
        faces(data({"remainder": True}, labelled_count=20, unlabelled_count=41))
    with pytest.raises(ManifestError, match="is a labelled set"):
        faces(data(str(toy_sets["validation"])))
