"""dlib's imglab XML."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.face import Unusable
from pipeline.datasets.imglab import Imglab
from pipeline.errors import DataError

PARTS = "<part name='00' x='1' y='2'/><part name='01' x='3' y='4'/><part name='02' x='5' y='6'/>"
BOX = "<box top='1' left='2' width='5' height='4'{attributes}>{inner}</box>"


def shape(inner=PARTS, attributes=""):
    return BOX.format(inner=inner, attributes=attributes)


def xml(*shapes, name="a.jpg", before=""):
    return (
        f"<?xml version='1.0' encoding='ISO-8859-1'?>\n<?xml-stylesheet type='text/xsl' href='x.xsl'?>\n{before}"
        f"<dataset><name>d</name><comment>c</comment><images><image file='{name}' width='8' height='8'>"
        f"{''.join(shapes)}</image><image file='b.jpg'/></images></dataset>"
    )


@pytest.fixture
def read(tmp_path, sound):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    (tmp_path / "three.yaml").write_text("name: three\nnum_landmarks: 3\n")
    (tmp_path / "named.yaml").write_text("name: three\nnum_landmarks: 3\nnames: [tip, left, right]\n")

    def reading(content, markup="three.yaml", check=sound):
        (tmp_path / "d.xml").write_text(content)
        return check(Imglab(str(tmp_path / "d.xml"), str(tmp_path), str(tmp_path / markup)).records())

    return reading


def test_boxes_and_parts(read):
    ignored = shape(PARTS.replace("'1'", "'7'"), " ignore='1'")
    first, second = read(xml(ignored, shape("<label>cat</label>" + PARTS, " pose='3'"), shape(""), shape()))
    assert (first.name, second.name) == ("a.jpg#1", "a.jpg#2")
    annotation = first.load().annotation
    np.testing.assert_array_equal(annotation.points_K2, [[1, 2], [3, 4], [5, 6]])
    assert annotation.box == (1.5, 0.5, 6.5, 4.5)  # edges of the pixels 2 … 6 and 1 … 4
    assert annotation.attributes == {"pose": "3", "label": "cat"}
    assert annotation.visible_K.all()


def test_a_missing_part_has_no_position(read):
    record, _ = read(xml(shape("<part name='2' x='5' y='6'/>"), shape()))
    np.testing.assert_array_equal(record.annotation.points_K2, [[np.nan] * 2, [np.nan] * 2, [5, 6]])
    assert record.annotation.visible_K.tolist() == [False, False, True]


def test_parts_with_names(read):
    parts = PARTS.replace("00", "left").replace("01", "right").replace("02", "tip")
    (record,) = read(xml(shape(parts)), "named.yaml")
    np.testing.assert_array_equal(record.annotation.points_K2, [[5, 6], [1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<dataset>", "d.xml: no XML"),
        ("<annotations/>", "this is no XML of imglab's"),
        (xml(shape("")), "no boxes with parts in it"),
        (xml(shape(), before="<!DOCTYPE d [<!ENTITY e 'e'>]>"), r"declares a document type \('d'\)"),
        (xml(shape(), name="../a.jpg"), r"image 1: '\.\./a\.jpg' leads out"),
        (xml(shape(), name="/etc/passwd"), "image 1: '/etc/passwd' leads out"),
        (xml(shape(), name="c.jpg"), r"c\.jpg, box 1: .*No such file"),
        (xml(shape(PARTS.replace("'02'", "'01'") + PARTS)), "box 1: landmark '1' is given twice"),
        (xml(shape(PARTS.replace("'02'", "'nose'")), shape()), "box 1: 'nose' is no landmark's number"),
        (xml(shape(PARTS.replace("x='5'", "x='far'"))), "box 1: x of part '2' is 'far', expected a number"),
        (xml(shape(PARTS.replace("x='5'", ""))), "box 1: x of part '2' is None, expected a number"),
        (xml(shape().replace("width='5'", "width='0'")), "box 1: the box is empty"),
        (xml(shape().replace("top='1'", "")), "box 1: box's top is None"),
        (xml(shape(PARTS.replace("00", "2").replace("'02'", "'1'"))), "landmarks are numbered 1 to 2, which may count"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content)


def test_a_bad_box_leaves_the_others(read):
    records = read(xml(shape(PARTS.replace("'5'", "'x'")), shape()), check=list)
    assert [isinstance(record, Unusable) for record in records] == [True, False]
