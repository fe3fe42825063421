"""CVAT's image export."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.cvat import Cvat
from pipeline.datasets.face import UnusableError
from pipeline.errors import DataError

MARKUP = "name: three\nnum_landmarks: 3\nflip_pairs: [[0, 1]]\n"
POINTS = """<points label="face" source="manual" occluded="{0}" points="1.5,2.5;3.5,4.0;5.5,6.5" z_order="0"
  group_id="1">{1}</points>"""
SKELETON = """<skeleton label="face" source="manual" z_order="0">
  <points label="3" source="manual" outside="0" occluded="1" points="5.5,6.5"/>
  <points label="1" source="manual" outside="0" occluded="0" points="1.5,2.5"/>
  <points label="2" source="manual" outside="1" occluded="0" points="3.5,4.0"/></skeleton>"""
BOX = '<box label="head" occluded="0" xtl="0.5" ytl="1.5" xbr="7.5" ybr="8.5" group_id="1"/>'


def xml(*shapes, name="a.jpg"):
    images = f'<image id="0" name="{name}" width="8" height="8">{"".join(shapes)}</image>'
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{images}</annotations>'
    )


@pytest.fixture
def read(tmp_path, sound):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    (tmp_path / "m.yaml").write_text(MARKUP)
    (tmp_path / "named.yaml").write_text(MARKUP + "names: ['3', '2', '1']\n")

    def reading(content, markup="m.yaml", **given):
        (tmp_path / "annotations.xml").write_text(content)
        return sound(
            Cvat(str(tmp_path / "annotations.xml"), str(tmp_path), str(tmp_path / markup), **given).records()
        )

    return reading


def test_points_shapes(read):
    attribute = '<attribute name="smile">yes</attribute>'
    first, second = read(xml(POINTS.format(0, attribute), BOX, POINTS.format(1, "").replace("group_id", "g")))
    assert (first.name, second.name) == ("a.jpg#1", "a.jpg#2")
    annotation = first.load().annotation
    np.testing.assert_array_equal(annotation.points_K2, [[1, 2], [3, 3.5], [5, 6]])
    assert annotation.visible_K.all()
    assert annotation.box == (0, 1, 7, 8)
    assert annotation.attributes == {"smile": "yes"}
    np.testing.assert_array_equal(second.annotation.points_K2, annotation.points_K2)
    assert not second.annotation.visible_K.any()
    assert second.annotation.box is None


def test_skeletons(read):
    (record,) = read(xml(SKELETON))
    np.testing.assert_array_equal(record.annotation.points_K2, [[1, 2], [np.nan, np.nan], [5, 6]])
    assert record.annotation.visible_K.tolist() == [True, False, False]
    (record,) = read(xml(SKELETON), "named.yaml")
    np.testing.assert_array_equal(record.annotation.points_K2, [[5, 6], [np.nan, np.nan], [1, 2]])


def test_the_label_of_faces(read):
    other = POINTS.format(0, "").replace('"face"', '"hand"')
    with pytest.raises(DataError, match="the labels face, hand; set 'label' to the faces' one"):
        read(xml(SKELETON, other))
    assert len(read(xml(SKELETON, other), label="hand")) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotations>", r"annotations\.xml: no XML"),
        (xml().replace("<version>", '<track id="0"></track><version>'), "export 'CVAT for images 1.1'"),
        (xml(), r"have the labels \(none\)"),
        (xml(POINTS.format(0, "").replace(";5.5,6.5", "")), r"a\.jpg, face 1: 2 points, markup 'three' has 3"),
        (xml(POINTS.format(0, "").replace("3.5,4.0", "3.5")), r"a\.jpg, face 1: '3.5' is no 'x,y'"),
        (xml(SKELETON.replace('"1.5,2.5"', '"x,2"')), "face 1, point '1': x is 'x', expected a number"),
        (xml(SKELETON.replace('label="1"', 'label="3"')), "face 1: landmark '3' is given twice"),
        (xml(SKELETON.replace('label="1"', 'label="nose"')), "'nose' is no landmark's number"),
        (xml(SKELETON.replace('outside="0"', 'outside="1"')), "face 1: every point is outside"),
        (xml(SKELETON, name="../a.jpg"), r"image 0: '\.\./a\.jpg' leads out"),
        (xml(SKELETON, name="b.jpg"), r"b\.jpg, face 1: .*No such file"),
        (xml(SKELETON).replace("<annotations>", '<!DOCTYPE a [<!ENTITY e "e">]><annotations>'), "declares a document type"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content)


def test_another_size_than_the_files_is_refused(read):
    (record,) = read(xml(SKELETON).replace('width="8"', 'width="16"'))
    with pytest.raises(UnusableError, match="a.jpg: 8×8 px, but .* annotated at 16×8 px"):
        record.load()


def test_a_bad_face_leaves_the_others(tmp_path, read):
    bad = POINTS.format(0, "").replace("3.5,4.0;", "")
    with pytest.raises(DataError, match="face 1: 2 points"):
        read(xml(bad, SKELETON))
    reader = Cvat(str(tmp_path / "annotations.xml"), str(tmp_path), str(tmp_path / "m.yaml"))
    assert [(type(r).__name__, r.name) for r in reader.records()] == [
        ("Unusable", "a.jpg#1"),
        ("StoredImage", "a.jpg#2"),
    ]
