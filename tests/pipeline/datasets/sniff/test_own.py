"""Which markup fits an export, and the text of one of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.datasets.sniff import sniff
from pipeline.datasets.sniff.own import markup_text, own_data
from pipeline.errors import ConfigError
from pipeline.markup import Markup, load_markup, markup_from

FACE = np.array([[40.0, 40], [80, 40], [60, 60], [45, 80], [75, 80]])


@pytest.fixture
def export(tmp_path):
    """Writes COCO keypoints of 14 images with these points and names; returns what it was recognised as."""

    def written(points_K2, names, count=14):
        images, annotations = [], []
        for n in range(count):
            Image.new("RGB", (120, 120)).save(tmp_path / f"{n}.png")
            images.append({"id": n, "file_name": f"{n}.png"})
            keypoints = [v for x, y in (points_K2 + n).tolist() for v in (x, y, 2)]
            annotations.append({"id": n, "image_id": n, "category_id": 1, "keypoints": keypoints})
        category = {"id": 1, "name": "x", "keypoints": names, "skeleton": [[1, 2]]}
        (tmp_path / "x.json").write_text(
            json.dumps({"images": images, "categories": [category], "annotations": annotations})
        )
        return sniff(str(tmp_path / "x.json"))

    return written


def written_markup(own) -> Markup:
    return markup_from(yaml.safe_load(markup_text(own)), "text")


def test_packaged_markups_by_name_and_by_how_landmarks_lie(export):
    by_name = own_data(export(FACE, list(load_markup("mtfl5").names)), "mine")
    assert (by_name.packaged, by_name.markup.name) == (True, "mtfl5")
    by_place = own_data(export(FACE, ["1", "2", "3", "4", "5"]), "mine")
    assert (by_place.packaged, by_place.markup.name) == (True, "mtfl5")
    assert "lie as those of 'mtfl5' and are taken for them" in by_place.found.remarks[-1]
    hand = own_data(export(FACE[[2, 0, 1, 4, 3]], ["1", "2", "3", "4", "5"]), "mine")
    assert (hand.packaged, hand.markup.name, hand.markup.flip_pairs) == (False, "mine", None)


def test_the_text_is_the_markup(export):
    names = ["left: eye", "right: eye", 'no"se', "Left_mouth", "right mouth"]
    own = own_data(export(FACE, names), "mine")
    assert own.markup == Markup("mine", 5, own.markup.curves, ((0, 1), (3, 4)), names=tuple(names))
    assert written_markup(own) == own.markup
    nameless = own_data(export(FACE[:4], []), "mine")
    assert written_markup(nameless) == nameless.markup
    # What is commented out works when it is not.
    text = markup_text(nameless).replace("# flip_pairs", "flip_pairs").replace("#   - [0, 1]", "  - [0, 1]")
    text = (
        text.replace("# curves", "curves")
        .replace("#   outline", "  outline")
        .replace("# ocular: [0", "ocular: [0")
    )
    changed = markup_from(yaml.safe_load(text.replace("# pupils: [[0", "pupils: [[0")), "text")
    assert (changed.flip_pairs, changed.ocular, changed.pupils) == (((0, 1),), (0, 1), ((0,), (1,)))


def test_pairs_that_the_landmarks_contradict_are_only_proposed(export):
    points_K2 = np.concatenate([FACE, np.add(FACE[:2], (0, -12)), [[60, 20]]])
    names = [
        "left_a",
        "right_a",
        "nose",
        "left_b",
        "right_c",
        "left_c",
        "right_b",
        "top",
    ]  # mouth and brows crossed
    own = own_data(export(points_K2, names), "mine")
    assert own.markup.flip_pairs is None
    assert "mirrored, landmark" in own.doubt
    text = markup_text(own)
    assert "the names pair them so, but mirrored, landmark" in text
    assert '#   - [0, 1]  # "left_a", "right_a"' in text
    assert written_markup(own) == own.markup


def test_names_that_make_no_markup(export):
    with pytest.raises(ConfigError, match="''"):
        own_data(export(FACE[:2], ["", "b"]), "mine")
