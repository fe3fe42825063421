"""COCO keypoints."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.coco import CocoKeypoints
from pipeline.datasets.face import UnusableError
from pipeline.errors import DataError

CONTENT = {
    "images": [{"id": 7, "file_name": "sub/a.jpg", "width": 8, "height": 8}],
    "categories": [
        {"id": 1, "name": "face", "keypoints": ["left", "right", "tip"], "skeleton": []},
        {"id": 2, "name": "hand"},
    ],
    "annotations": [
        {"id": 17, "image_id": 7, "category_id": 1, "keypoints": [1, 2, 2, 3, 4.5, 1, 0, 0, 0], "bbox": [1, 2, 3, 4],
         "attributes": {"smile": True}, "iscrowd": 0},
        {"id": 18, "image_id": 7, "category_id": 1, "keypoints": [5, 6, 2, 6, 6, 2, 7, 7, 2], "bbox": []},
        {"id": 19, "image_id": 7, "category_id": 1, "keypoints": [0] * 9, "bbox": [1, 1, 2, 2]},
        {"id": 20, "image_id": 7, "category_id": 1, "keypoints": [], "iscrowd": 1},
        {"id": 21, "image_id": 7, "category_id": 2, "bbox": [1, 1, 2, 2]},
    ],
}  # fmt: skip
MARKUP = "name: three\nnum_landmarks: 3\nflip_pairs: [[0, 1]]\n"


@pytest.fixture
def read(tmp_path, sound):
    (tmp_path / "images" / "sub").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "sub" / "a.jpg")

    def reading(content=CONTENT, markup=MARKUP, **given):
        # Markups are cached by path.
        path = tmp_path / f"m{abs(hash(markup))}.yaml"
        path.write_text(markup)
        (tmp_path / "c.json").write_text(json.dumps(content))
        return sound(
            CocoKeypoints(str(tmp_path / "c.json"), str(tmp_path / "images"), str(path), **given).records()
        )

    return reading


def test_faces(read):
    first, second = read()
    assert (first.name, second.name) == ("sub/a.jpg#17", "sub/a.jpg#18")
    annotation = first.load().annotation
    np.testing.assert_array_equal(annotation.points_K2, [[1, 2], [3, 4.5], [np.nan, np.nan]])
    assert annotation.visible_K.tolist() == [True, False, False]
    assert annotation.box == (1, 2, 4, 6)
    assert annotation.attributes == {"smile": True}
    assert second.annotation.box is None
    assert second.annotation.visible_K.all()


def test_named_landmarks_are_sorted_by_the_markups_names(read):
    annotation = read(markup=MARKUP + "names: [tip, left, right]\n")[1].annotation
    np.testing.assert_array_equal(annotation.points_K2, [[7, 7], [5, 6], [6, 6]])


def test_tools_that_draw_on_a_canvas_count_from_the_corner(read):
    annotation = read(origin="corner")[0].annotation
    np.testing.assert_array_equal(annotation.points_K2[:2], [[0.5, 1.5], [2.5, 4]])
    assert annotation.box == (0.5, 1.5, 3.5, 5.5)


def test_one_category_of_several(read):
    content = copy.deepcopy(CONTENT)
    content["categories"][1]["keypoints"] = ["a"]
    with pytest.raises(
        DataError, match="2 categories with keypoints fit; set 'category' to one of: face, hand"
    ):
        read(content)
    assert len(read(content, category="face")) == 2


def _set(*path_and_value):
    *path, last, value = path_and_value

    def change(content):
        for key in path:
            content = content[key]
        content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("images", {}), r"c\.json: field 'images' is no list of objects"),
        (_set("annotations", []), r"c\.json: no annotated faces"),
        (_set("annotations", 0, "keypoints", [1, 2]), "annotation 17: 2 values in 'keypoints', expected 9"),
        (_set("annotations", 0, "keypoints", 2, 3), "annotation 17: visibility of landmark 0 is 3"),
        (_set("annotations", 0, "keypoints", 1, "up"), "annotation 17: y of landmark 0 is 'up', expected a number"),
        (_set("annotations", 0, "bbox", [1, 2]), r"annotation 17: 'bbox' is \[1, 2\]"),
        (_set("annotations", 0, "bbox", [1, 2, 0, 4]), "annotation 17: the box is empty"),
        (_set("annotations", 0, "image_id", 9), "annotation 17: no image has the id 9"),
        (_set("images", 0, "file_name", "../a.jpg"), r"annotation 17: '\.\./a\.jpg' leads out of"),
        (_set("images", 0, "file_name", "b.jpg"), r"annotation 17: .*b\.jpg: No such file"),
        (_set("annotations", 1, "id", 17), r"the name 'sub/a\.jpg#17' is taken"),
        (_set("categories", 0, "keypoints", ["a"]), "category 'face' has 1 keypoints, markup 'three' 3"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read, change, message):
    content = copy.deepcopy(CONTENT)
    change(content)
    with pytest.raises(DataError, match=message):
        read(content)


def test_other_errors(read):
    with pytest.raises(DataError, match="keypoint 'left' is not among the names of markup 'three'"):
        read(markup=MARKUP + "names: [a, b, c]\n")
    with pytest.raises(DataError, match="field 'origin' is 'top': give 'centre' or 'corner'"):
        read(origin="top")
    with pytest.raises(DataError, match="a list, expected COCO's object"):
        read([])


def test_landmarks_without_names_are_in_the_markups_order(read):
    content = copy.deepcopy(CONTENT)
    content["categories"] = [{"id": 1, "name": "face", "keypoints": [], "skeleton": []}]
    for given in ({}, {"category": "face"}):
        first, second = read(content, markup=MARKUP + "names: [tip, left, right]\n", **given)
        np.testing.assert_array_equal(first.annotation.points_K2[:2], [[1, 2], [3, 4.5]])
        np.testing.assert_array_equal(second.annotation.points_K2, [[5, 6], [6, 6], [7, 7]])


def test_what_one_means_is_the_readers_to_be_told(read):
    assert read()[0].annotation.visible_K.tolist() == [True, False, False]
    assert read(one_means="occluded")[0].annotation.visible_K.tolist() == [True, False, False]
    assert read(one_means="visible")[0].annotation.visible_K.tolist() == [True, True, False]
    with pytest.raises(DataError, match="field 'one_means' is 'seen': give 'occluded' or 'visible'"):
        read(one_means="seen")


@pytest.mark.parametrize(("width", "height"), [(16, 16), (8, 9)])
def test_another_size_than_the_files_is_refused_and_none_is_no_size(read, width, height):
    content = copy.deepcopy(CONTENT)
    content["images"][0] |= {"width": width, "height": height}
    with pytest.raises(UnusableError, match=f"a.jpg: 8×8 px, but .* annotated at {width}×{height} px"):
        read(content)[0].load()
    content["images"][0] |= {"width": 0, "height": 0}
    assert read(content)[0].load().image_HW3.shape == (8, 8, 3)


def test_a_bad_annotation_leaves_the_others(tmp_path, read):
    content = copy.deepcopy(CONTENT)
    content["annotations"][0]["keypoints"][1] = "up"
    with pytest.raises(DataError):
        read(content)  # says what is wrong
    path = next(tmp_path.glob("m*.yaml"))
    reader = CocoKeypoints(str(tmp_path / "c.json"), str(tmp_path / "images"), str(path))
    bad, good = reader.records()
    assert (bad.name, bad.reason, good.name) == ("annotation 17", "bad_annotation", "sub/a.jpg#18")
