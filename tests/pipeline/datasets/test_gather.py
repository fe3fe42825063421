"""What is wrong with one face is that face's."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.datasets._gather import Gathering
from pipeline.datasets.face import UnusableError
from pipeline.datasets.image import StoredImage
from pipeline.errors import ConfigError, DataError


def test_entries_that_fail_are_kept_by_name_and_reason():
    faces = Gathering("s")
    with faces.entry("b"):
        faces.add(StoredImage("s", "b", "/b", None, False, 0, 1))
    with faces.entry("a"):
        raise DataError("line 3: no number")
    with faces.entry("c\udce9"):
        raise UnusableError("c.jpg: No such file", "unreadable")
    found = faces.ordered(Path("list"), "faces")
    assert [record.name for record in found] == ["a", "b", "c\\udce9"]
    assert (found[0].reason, found[0].problem) == ("bad_annotation", "line 3: no number")
    assert found[2].reason == "unreadable"


def test_what_is_not_one_faces_fault_goes_through():
    faces = Gathering("s")
    with pytest.raises(ConfigError), faces.entry("a"):
        raise ConfigError("no such markup")
    with pytest.raises(DataError, match="list: no faces in it"):
        faces.ordered(Path("list"), "faces")
