"""Readers by name."""

from __future__ import annotations

import pytest

from pipeline.datasets.face import FaceReader
from pipeline.datasets.registry import check_reader_spec, open_reader, reader_class, reader_names
from pipeline.errors import ConfigError, DataError


def test_every_packaged_reader_is_found_and_has_a_class():
    names = reader_names()
    assert {"w300", "folder", "table", "synthetic"} <= set(names)
    assert not {"face", "image", "registry"} & set(names)
    for name in names:
        assert isinstance(reader_class(name), type)


def test_opens_a_reader(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    reader = open_reader({"reader": "folder", "root": str(tmp_path)})
    assert isinstance(reader, FaceReader)
    assert len(reader.records()) == 1


def test_synthetic_faces_are_labelled():
    reader = open_reader({"reader": "synthetic", "count": 2, "seed": 0})
    assert reader.markup is not None
    assert len(reader.records()) == 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"root": "x"}, "no field 'reader' among root; known: "),
        ({"reader": "w30"}, "no reader 'w30'; did you mean 'w300'"),
        ({"reader": "folder", "rot": "x"}, "reader 'folder' has no parameter 'rot'; did you mean 'root'"),
        ({"reader": "folder"}, "reader 'folder' needs the parameter 'root'"),
        ({"reader": "nowhere.at_all"}, "field 'reader': No module named 'nowhere'"),
        ({"reader": "json"}, "no reader 'json'"),
        ({"reader": "os.path"}, "sets no READER"),
    ],
)
def test_wrong_specs(spec, message):
    with pytest.raises(ConfigError, match=message):
        check_reader_spec(spec)


def test_reader_of_the_users_own_module(tmp_path, monkeypatch):
    package = tmp_path / "my_team"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "faces.py").write_text(
        "class Mine:\n    def __init__(self, root): self.root = root\n\nREADER = Mine\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert open_reader({"reader": "my_team.faces", "root": "r"}).root == "r"


def test_what_the_reader_itself_finds_wrong_is_passed_on():
    with pytest.raises(DataError, match="no such folder"):
        open_reader({"reader": "folder", "root": "nowhere"})
