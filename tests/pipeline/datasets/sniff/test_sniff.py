"""Recognising what a folder or a file is."""

from __future__ import annotations

import json

import pytest

from pipeline.datasets.sniff import sniff
from pipeline.errors import DataError

ROW = json.dumps({"path": "a.jpg", "points": [[1, 2], [3, 4]]})


def test_a_file_and_the_folder_around_it(images):
    (images / "deep" / "er").mkdir(parents=True)
    (images / "deep" / "er" / "faces.jsonl").write_text(ROW)
    (images / "other.json").write_text("{}")
    (images / ".hidden.csv").write_text("path,x0,y0\n")
    with pytest.raises(DataError, match="are in none of"):
        sniff(str(images / "deep" / "er" / "faces.jsonl"))
    found = sniff(str(images), images=str(images / "pictures"))
    assert (found.reader, found.root) == ("table", images / "pictures")
    assert found.spec("m") == {
        "reader": "table",
        "path": str(images / "deep" / "er" / "faces.jsonl"),
        "root": str(images / "pictures"),
        "markup": "m",
    }


def test_several_things_are_not_guessed_among(images):
    (images / "one.jsonl").write_text(ROW)
    (images / "two.jsonl").write_text(ROW)
    with pytest.raises(
        DataError, match=r"more than one thing, .*one\.jsonl \(a table.*two\.jsonl.*: give the path of one"
    ):
        sniff(str(images))
    assert sniff(str(images / "two.jsonl")).root == images / "pictures"


def test_nothing_says_what_was_looked_for_and_why_not(images):
    (images / "boxes.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    (images / "broken.xml").write_text("<annotations>")
    (images / "entities.xml").write_text("<!DOCTYPE a [<!ENTITY e 'e'>]><annotations/>")
    with pytest.raises(DataError) as raised:
        sniff(str(images))
    for part in ("looked for COCO keypoints", "FaceSynthetics", "1 × .png", "2 × .xml", "boxes.json: COCO, but no annotation",
                 "broken.xml: no XML", "declares a document type", "landmarks help reader"):  # fmt: skip
        assert part in str(raised.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "no such file or folder"),
        ("x.json", "x.json: not recognised; looked for COCO"),
        ("pictures/a.jpg", "not recognised"),
        ("s3://bucket/x.json", "this reader reads local files"),
    ],
)
def test_what_cannot_be_looked_at(images, monkeypatch, path, message):
    (images / "x.json").write_text("[]")
    monkeypatch.chdir(images)
    with pytest.raises(DataError, match=message):
        sniff(path)
    with pytest.raises(DataError, match="no such folder of images"):
        sniff("pictures", images="more")
