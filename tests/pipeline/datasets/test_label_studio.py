"""Label Studio's JSON."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.face import UnusableError
from pipeline.datasets.label_studio import LabelStudio, image_path
from pipeline.errors import DataError

MARKUP = "name: three\nnum_landmarks: 3\nflip_pairs: [[0, 1]]\nnames: [left, right, tip]\n"
SIZE = {"original_width": 200, "original_height": 100, "image_rotation": 0}


def keypoint(label, x, y, region=None, **more):
    value = {"x": x, "y": y, "width": 0.4, "keypointlabels": [label]}
    return {"id": region or label, "type": "keypointlabels", "value": value, **SIZE, **more}


def task(*result, image="/data/upload/1/1a2b-a.jpg", **more):
    annotation = {"id": 9, "was_cancelled": False, "result": list(result)}
    return {"id": 5, "data": {"image": image}, "annotations": [annotation], **more}


FACE = (keypoint("tip", 50, 50), keypoint("left", 10, 20, "L"))
HIDDEN = {"id": "L", "type": "choices", "value": {"choices": ["occluded"]}, **SIZE}


@pytest.fixture
def read(tmp_path, sound):
    (tmp_path / "m.yaml").write_text(MARKUP)
    Image.new("RGB", (200, 100)).save(tmp_path / "1a2b-a.jpg")

    def reading(*tasks, **given):
        (tmp_path / "e.json").write_text(json.dumps(list(tasks)))
        return sound(
            LabelStudio(str(tmp_path / "e.json"), str(tmp_path), str(tmp_path / "m.yaml"), **given).records()
        )

    return reading


def test_a_face(read):
    (record,) = read(task(*FACE, HIDDEN), task())
    assert record.name == "1a2b-a.jpg#1"
    annotation = record.load().annotation
    np.testing.assert_allclose(annotation.points_K2, [[19.5, 19.5], [np.nan, np.nan], [99.5, 49.5]])
    assert annotation.visible_K.tolist() == [False, False, True]
    assert annotation.box is None


def test_faces_of_one_image_are_children_of_their_rectangles(read):
    box = {
        "id": "R",
        "type": "rectanglelabels",
        "value": {"x": 10, "y": 10, "width": 50, "height": 80},
        **SIZE,
    }
    two = [keypoint("tip", 30, 30, "t2", parentID="R"), keypoint("tip", 60, 60, "t3", parentID="Q"), box]
    first, second = read(task(*two))
    np.testing.assert_allclose(first.annotation.box, (19.5, 9.5, 119.5, 89.5))
    assert second.annotation.box is None
    np.testing.assert_allclose(second.annotation.points_K2[2], (119.5, 59.5))


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/data/local-files/?d=faces%2Fa%20b.jpg", "faces/a b.jpg"),
        ("/data/upload/3/1a2b-a.jpg", "1a2b-a.jpg"),
        ("https://images.example.org/x/a%20b.jpg?size=3", "a b.jpg"),
        ("s3://bucket/x/a.jpg", "a.jpg"),
        ("sub/a.jpg", "sub/a.jpg"),
    ],
)
def test_where_a_image_lies(address, path):
    assert image_path(address) == path


def test_an_upload_is_found_under_the_name_it_had(read, tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "b.jpg")
    uploaded = task(*FACE, image="/data/upload/1/0a1b2c3d-b.jpg")
    assert [record.name for record in read(uploaded)] == ["b.jpg#1"]
    Image.new("RGB", (200, 100)).save(tmp_path / "0a1b2c3d-b.jpg")
    assert [record.name for record in read(uploaded)] == ["0a1b2c3d-b.jpg#1"]
    with pytest.raises(DataError, match="leads out of"):
        read(task(*FACE, image="../0a1b2c3d-b.jpg"))


def test_only_one_annotation_counts(read):
    twice = task(*FACE)
    twice["annotations"].append(copy.deepcopy(twice["annotations"][0]))
    with pytest.raises(DataError, match="task 5: 2 annotations; keep one"):
        read(twice)
    twice["annotations"][1]["was_cancelled"] = True
    assert len(read(twice)) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (task(keypoint("nose", 1, 1)), "'nose' is none of the names of markup 'three'"),
        (task(FACE[0], FACE[0]), "task 5, face 1: landmark 'tip' is given twice; remove one, or group"),
        (task(keypoint("tip", "x", 1)), "task 5, face 1: region's x is 'x', expected a number"),
        (task({**FACE[0], "image_rotation": 90}), "task 5, face 1: the image was rotated"),
        (task({**FACE[0], "original_width": None}), "task 5, face 1: the image's width is None"),
        (task({**FACE[0], "value": {"keypointlabels": ["a", "b"]}}), r"task 5, face 1: a keypoint has the labels \['a', 'b'\]"),
        (task(*FACE, image="/data/local-files/?d=../a.jpg"), r"task 5: '\.\./a\.jpg' leads out of"),
        (task(*FACE, image="b.jpg"), r"task 5: .*b\.jpg: No such file"),
        (task(*FACE, image=None), "task 5: the image's path is None"),
        (task(), r"e\.json: no keypoints in it, but no regions at all"),
        ({"id": 5, "image": "a.jpg", "kp": []}, "task 5: no 'annotations'; export 'JSON', not 'JSON-MIN'"),
        (3, "no list of tasks"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read, given, message):
    with pytest.raises(DataError, match=message):
        read(given)


@pytest.mark.parametrize("scale", [1, 2, 0.5])
def test_shares_are_of_the_real_size(read, tmp_path, scale):
    Image.new("RGB", (int(200 * scale), int(100 * scale))).save(tmp_path / "1a2b-a.jpg")
    (record,) = read(task(*FACE))
    # (10 %, 20 %) of the image, whatever its size.
    np.testing.assert_allclose(record.load().annotation.points_K2[0], [20 * scale - 0.5, 20 * scale - 0.5])


def test_an_image_of_another_shape_is_refused(read, tmp_path):
    Image.new("RGB", (100, 100)).save(tmp_path / "1a2b-a.jpg")
    (record,) = read(task(*FACE))
    with pytest.raises(UnusableError, match="1a2b-a.jpg: 100×100 px, but .* annotated at 200×100 px"):
        record.load()


def test_an_export_without_keypoints_says_what_it_holds(read):
    region = {
        "id": "b",
        "type": "rectanglelabels",
        "value": {"x": 1, "y": 1, "width": 5, "height": 5},
        **SIZE,
    }
    with pytest.raises(
        DataError, match="no keypoints in it, but 2 rectanglelabels; annotate faces with KeyPoint"
    ):
        read(task(region, region))
    wrong = task(*FACE)
    wrong["data"] = {"photo": "1a2b-a.jpg"}
    with pytest.raises(DataError, match="task 5: 'data' has no 'image', only photo; set 'field'"):
        read(wrong)
