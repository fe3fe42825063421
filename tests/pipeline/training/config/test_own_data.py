"""The config of an export of the user's own: valid as it is, its crop by what the annotations are like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.datasets.sniff.found import Found
from pipeline.datasets.sniff.own import OwnData
from pipeline.datasets.sniff.survey import Survey
from pipeline.errors import ConfigError, DataError
from pipeline.markup import Markup, load_markup
from pipeline.training.config.compose import compose
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.own_data import config_text, crop_of, name_for, places, write_own

HAND = Markup("mine", 3, (), names=("wrist", "thumb", "tip"))
SHAPE = np.array([[10.0, 20.0], [50.0, 30.0], [30.0, 80.0]])


def own(tmp_path, count=60, markup=HAND, box=None, most=1, fill=0.2, scale=1.0) -> OwnData:
    found = Found("COCO keypoints", "coco", 3, path=tmp_path / "x, y: {z}.json", root=tmp_path / "it's")
    boxes_N4 = np.tile(np.array(box or (np.nan,) * 4), (count, 1))
    seen = Survey(count, np.tile(SHAPE * scale, (count, 1, 1)), boxes_N4, most, fill, ())
    return OwnData(found, markup, markup is not HAND, seen)


def test_what_is_written_is_a_config(tmp_path):
    data = own(tmp_path)
    written = write_own(replace(data, found=data.found.remarking("it is\nso")), "mine", tmp_path)
    assert "# Of the annotations: it is so.\n" in written.config.read_text()
    config = compose(written.config, [], ExperimentConfig)
    (entry,) = config.prepare.sets
    assert entry.reader == {
        "reader": "coco", "path": str(tmp_path / "x, y: {z}.json"), "root": str(tmp_path / "it's"),
        "markup": str(written.markup),
    }  # fmt: skip
    assert (entry.validation.share, config.data.streams, config.training.batch) == (0.1, 8, 16)
    assert config.prepare.min_face_px == 32
    assert config.augmentation.parameters["flip"] == 0.0
    assert load_markup(str(written.markup)) == HAND
    for path in (written.config, written.markup):
        path.write_text("mine: true")
        with pytest.raises(ConfigError, match="there already; choose another --name"):
            write_own(own(tmp_path), "mine", tmp_path)
        assert path.read_text() == "mine: true"
        path.unlink()


def test_a_name_with_line_breaks_and_control_characters_ends_no_comment(tmp_path):
    data, odd = own(tmp_path), "a\nname: evil\r\x1b[31m\x85\u2028b"
    found = replace(data.found, path=tmp_path / f"{odd}.json").remarking(f"as {odd} says")
    written = write_own(replace(data, found=found), "mine", tmp_path)
    for path in (written.config, written.markup):
        text = path.read_text(encoding="utf-8")
        assert all(line.isprintable() for line in text.split("\n"))
        assert not any(line.startswith("name: evil") for line in text.split("\n"))
    assert r"a\nname: evil\r\x1b[31m\x85\u2028b.json" in written.config.read_text()
    config = compose(written.config, [], ExperimentConfig)
    assert config.prepare.sets[0].reader["path"] == str(
        tmp_path / f"{odd}.json"
    )  # the file is found all the same
    assert load_markup(str(written.markup)) == HAND


@pytest.mark.parametrize(
    ("count", "share", "streams", "batch"),
    [(2, 0.5, 1, 1), (5, 0.2, 1, 4), (30, 0.2, 4, 16), (5000, 0.1, 16, 16)],
)
def test_small_sets(tmp_path, count, share, streams, batch):
    config = compose(write_own(own(tmp_path, count), "mine", tmp_path).config, [], ExperimentConfig)
    assert config.prepare.sets[0].validation.share == share
    assert (config.data.streams, config.training.batch) == (streams, batch)
    with pytest.raises(DataError, match="a single annotation"):
        config_text(own(tmp_path, 1), "mine", "m")


@pytest.mark.parametrize(
    ("given", "points", "side_factor"),
    [
        ({}, "landmarks", 1.5),
        ({"fill": None}, "landmarks", 1.5),
        ({"fill": 0.5}, "image", 1.0),
        ({"fill": 0.5, "most": 2}, "landmarks", 1.5),
        ({"box": (10, 20, 50, 80), "fill": 0.5}, "box", 1.2),
        ({"box": (10, 20, 50, 60)}, "box", 2.2),  # of side 40; the tip lies 40 below its middle
        ({"markup": load_markup("mtfl5")}, "detector", 3.0),
    ],
)
def test_crops(tmp_path, given, points, side_factor):
    crop, why = crop_of(own(tmp_path, **given))
    assert crop == {"points": points, "side_factor": side_factor}
    assert why


def test_what_depends_on_the_markup_and_on_sizes(tmp_path):
    (tmp_path / "a").mkdir()
    known = write_own(own(tmp_path, markup=load_markup("ibug68")), "known", tmp_path)
    assert known.markup is None
    config = compose(known.config, [], ExperimentConfig)
    assert config.prepare.sets[0].reader["markup"] == "ibug68"
    assert (config.evaluation.normalisation, config.augmentation.parameters["flip"]) == ("ocular", 0.5)
    small = compose(write_own(own(tmp_path, scale=0.2), "small", tmp_path).config, [], ExperimentConfig)
    assert (small.prepare.min_face_px, small.evaluation.normalisation) == (8, "box")


def test_names_and_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name_for("my cats (2)/annotations.json") == "my-cats-2"
    assert name_for("cats/") == "cats"
    assert name_for("cats.v2.csv") == "cats-v2"
    assert name_for("/data/export") == "mine"
    with pytest.raises(ConfigError, match="becomes file names"):
        places("../x", tmp_path)
