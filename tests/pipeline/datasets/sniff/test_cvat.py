"""CVAT, recognised."""

from __future__ import annotations

from html import escape
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from pipeline.datasets.sniff.cvat import recognise
from pipeline.errors import DataError

SVG = (
    '<line x1="1" data-type="edge" data-node-from="1" stroke="black" data-node-to="2"></line>'
    '<line data-type="edge" data-node-from="2" data-node-to="9"></line>'
    '<circle data-type="element node" data-element-id="1" data-node-id="1" data-label-name="tip"></circle>'
    '<circle data-type="element node" data-node-id="2" data-label-name="base"></circle>'
)
META = (
    f"<meta><job><labels><label><name>ear</name><type>skeleton</type><svg>{escape(SVG)}</svg></label>"
    "<label><name>base</name><parent>ear</parent></label><label><name>tip</name><parent>ear</parent></label></labels></job></meta>"
)
SKELETON = (
    '<skeleton label="ear"><points label="tip" points="1,2"/><points label="base" points="3,4"/></skeleton>'
)
POINTS = '<points label="hand" points="1,2;3,4;5,6"/>'


def looked_at(*shapes, meta="", label=None):
    images = f'<image id="0" name="a.jpg">{"".join(shapes)}</image><image id="1" name="b.jpg"/>'
    return recognise(fromstring(f"<annotations>{meta}{images}</annotations>"), Path("x.xml"), label)


def test_skeletons_with_and_without_their_definition():
    found = looked_at(SKELETON, meta=META)
    assert (found.num_landmarks, found.names, found.edges) == (2, ("base", "tip"), ((1, 0),))
    assert (found.images, found.keys) == (("a.jpg",), {})
    bare = looked_at(SKELETON)
    assert (bare.names, bare.edges) == (("tip", "base"), ())
    numbered = looked_at(SKELETON.replace("tip", "2").replace("base", "1"))
    assert (numbered.num_landmarks, numbered.names) == (2, None)


def test_points_shapes_and_labels():
    found = looked_at(POINTS)
    assert (found.num_landmarks, found.names) == (3, None)
    with pytest.raises(
        DataError,
        match=r"shapes of several labels have landmarks, hand \(1\), ear \(1\): choose one with --label",
    ):
        looked_at(POINTS, SKELETON)
    assert looked_at(POINTS, SKELETON, label="ear").keys == {"label": "ear"}


def test_what_is_of_no_use():
    assert recognise(fromstring("<dataset/>"), Path("x.xml"), None) is None
    with pytest.raises(DataError, match="CVAT, but of a video"):
        recognise(fromstring("<annotations><track/></annotations>"), Path("x.xml"), None)
    with pytest.raises(DataError, match="CVAT, but no shape is a skeleton or holds points"):
        looked_at('<box label="hand"/>')
