"""COCO, recognised."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.datasets.sniff.coco import recognise
from pipeline.errors import DataError

CATEGORY = {"id": 1, "name": "hand", "keypoints": ["wrist", "tip"], "skeleton": [[1, 2], [2, 9], "x"]}


def content(visibility=2, categories=(CATEGORY,), **annotation):
    entry = {"id": 5, "image_id": 7, "category_id": 1, "keypoints": [1, 2, visibility, 3, 4, 2]} | annotation
    return {"images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}], "categories": list(categories),
            "annotations": [entry, "nonsense", {"id": 6}]}  # fmt: skip


def test_names_skeleton_and_annotated_images():
    found = recognise(content(), Path("x.json"), None)
    assert (found.num_landmarks, found.names, found.edges) == (2, ("wrist", "tip"), ((0, 1),))
    assert (found.images, found.keys) == (("a.jpg",), {})
    assert ["origin: corner" in remark for remark in found.remarks] == [True]


def test_numbers_are_no_names_and_an_empty_list_none():
    for keypoints in (["1", "2"], ["0", "1"], []):
        found = recognise(content(categories=[CATEGORY | {"keypoints": keypoints}]), Path("x.json"), None)
        assert (found.num_landmarks, found.names) == (2, None)


def test_files_that_tell_only_what_is_labelled():
    found = recognise(content(keypoints=[1, 2, 1, 0, 0, 0]), Path("x.json"), None)
    assert found.keys == {"one_means": "visible"}
    assert "1 is taken for visible" in found.remarks[-1]


def test_several_categories():
    foot = CATEGORY | {"id": 2, "name": "foot"}
    one = content(categories=[CATEGORY, foot])
    assert recognise(one, Path("x.json"), None).keys == {"category": "hand"}
    one["annotations"].append({"id": 9, "image_id": 8, "category_id": 2, "keypoints": [1, 2, 2, 3, 4, 2]})
    with pytest.raises(
        DataError, match=r"categories of several labels.*hand \(1\), foot \(1\): choose one with --label"
    ):
        recognise(one, Path("x.json"), None)
    assert recognise(one, Path("x.json"), "foot").images == ("b.jpg",)
    with pytest.raises(DataError, match="no categories labelled 'toe' has landmarks; there are hand"):
        recognise(one, Path("x.json"), "toe")


@pytest.mark.parametrize("raw", [[], {}, {"images": [], "annotations": []}, None, 3])
def test_other_json_is_none(raw):
    assert recognise(raw, Path("x.json"), None) is None


@pytest.mark.parametrize(
    "change", [{"keypoints": None}, {"keypoints": [0] * 6}, {"iscrowd": 1}, {"category_id": [1]}]
)
def test_boxes_alone_are_refused(change):
    with pytest.raises(DataError, match=r"x\.json: COCO, but no annotation has keypoints"):
        recognise(content(**change), Path("x.json"), None)
