"""Menpo: 68 landmarks of semi-frontal faces, 39 of profiles."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.menpo import Menpo
from pipeline.errors import ConfigError, DataError
from pipeline.shards.plan import plan_sets
from pipeline.shards.prepare_config import PrepareConfig


@pytest.fixture
def root(tmp_path):
    for folder, count in (("semifrontal", 68), ("profile", 39)):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (64, 64)).save(tmp_path / folder / "aflw__1.jpg")
        points = "\n".join(f"{i + 1} {2 * i + 1}" for i in range(count))
        (tmp_path / folder / "aflw__1.pts").write_text(f"version: 1\nn_points: {count}\n{{\n{points}\n}}\n")
    return tmp_path


@pytest.mark.parametrize(("view", "count"), [("semifrontal", 68), ("profile", 39)])
def test_reads_a_view(root, view, count):
    reader = Menpo(str(root), [view], view)
    (record,) = reader.records()
    assert reader.markup.num_landmarks == count
    np.testing.assert_array_equal(record.load().annotation.points_K2, [[i, 2 * i] for i in range(count)])
    assert record.name == f"{view}/aflw__1.jpg"
    (same,) = Menpo(str(root / view), ["."], view).records()
    assert same.name == "aflw__1.jpg"


def test_views_do_not_mix(root, sound):
    with pytest.raises(DataError, match=r"aflw__1\.pts: 39 points, expected 68"):
        sound(Menpo(str(root), ["semifrontal", "profile"], "semifrontal").records())


def test_profiles_need_a_markup_that_says_where_a_face_is(root):
    entry = {"reader": "menpo", "root": str(root), "subsets": ["profile"], "view": "profile"}
    config = {"out": str(root / "out"), "sets": [{"name": "profile", "role": "labelled", "reader": entry}]}
    with pytest.raises(ConfigError, match="markup 'menpo39' lacks 'five_points'.*add them to its YAML"):
        plan_sets(PrepareConfig.model_validate(config))
    mine = root / "mine.yaml"
    mine.write_text("name: mine\nnum_landmarks: 39\nflip_pairs: []\nfive_points: [[0], [1], [2], [3], [4]]\n")
    entry["markup"] = str(mine)
    (plan,) = plan_sets(PrepareConfig.model_validate(config))
    assert plan.options.markup.name == "mine"


def test_wrong_view(root):
    with pytest.raises(DataError, match="field 'view' is 'frontal': give one of semifrontal, profile"):
        Menpo(str(root), ["semifrontal"], "frontal")
