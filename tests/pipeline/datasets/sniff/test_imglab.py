"""imglab's XML, recognised."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from pipeline.datasets.sniff.imglab import recognise
from pipeline.errors import DataError

BOX = "<box{}><part name='00' x='1' y='2'/><part name='01' x='1' y='2'/></box>"


def looked_at(*boxes):
    images = f"<image file='a.jpg'>{''.join(boxes)}</image><image file='b.jpg'/>"
    return recognise(fromstring(f"<dataset><images>{images}</images></dataset>"), Path("x.xml"))


def test_numbers_and_names():
    found = looked_at(BOX.format(""), BOX.format(" ignore='1'").replace("01", "09"))
    assert (found.num_landmarks, found.names, found.images) == (2, None, ("a.jpg",))
    assert looked_at(BOX.format("").replace("00", "tip")).names == ("tip", "1")


def test_what_is_of_no_use():
    assert recognise(fromstring("<annotations/>"), Path("x.xml")) is None
    with pytest.raises(DataError, match="imglab's, but no box has parts"):
        looked_at("<box/>", BOX.format(" ignore='1'"))
