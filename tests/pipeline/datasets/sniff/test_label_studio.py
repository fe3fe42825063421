"""Label Studio, recognised."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.datasets.sniff.label_studio import recognise
from pipeline.errors import DataError


def task(*labels, data=None, **annotation):
    result = [{"type": "keypointlabels", "value": {"keypointlabels": [label]}} for label in labels]
    return {
        "data": data or {"image": "/data/upload/1/0123abcd-a.jpg"},
        "annotations": [{"result": result, **annotation}],
    }


def test_labels_and_images():
    found = recognise([task("tip", "base"), task("tip"), task("gone", was_cancelled=True)], Path("x.json"))
    assert (found.num_landmarks, found.names, found.keys) == (2, ("tip", "base"), {})
    assert found.images[0] == "0123abcd-a.jpg"
    assert recognise([task("2", "1", "0")], Path("x.json")).names is None
    other = recognise(
        [task("tip", data={"photo": "/data/local-files/?d=x/a.png", "who": "me"})], Path("x.json")
    )
    assert (other.keys, other.images) == ({"field": "photo"}, ("x/a.png",))


def test_what_is_of_no_use():
    assert recognise({"data": {}}, Path("x.json")) is None
    assert recognise([{"id": 1}], Path("x.json")) is None
    with pytest.raises(DataError, match="nothing in it is annotated with KeyPointLabels"):
        recognise([task()], Path("x.json"))
    with pytest.raises(DataError, match="no field of its tasks' 'data' names an image"):
        recognise([task("tip", data={"text": "hello"})], Path("x.json"))
