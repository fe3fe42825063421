"""Readers by name."""

from __future__ import annotations

import pytest

from pipeline.datasets.face import FaceReader
from pipeline.datasets.open import check_reader, open_reader
from pipeline.errors import ConfigError, DataError
from pipeline.registry import find, names


def test_every_packaged_reader_is_found_and_has_a_class():
    assert {"w300", "folder", "table", "synthetic"} <= set(names("reader"))
    assert not {"face", "image", "open"} & set(names("reader"))
    for name in names("reader"):
        assert isinstance(find("reader", name), type)


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
        ({"reader": "w30"}, "no reader named 'w30': did you mean 'w300'"),
        ({"reader": "folder", "rot": "x"}, "reader 'folder' has no parameter 'rot'; did you mean 'root'"),
        ({"reader": "folder"}, "reader 'folder' needs parameter 'root'"),
        (
            {"reader": "folder", "root": 3},
            "reader 'folder', parameter 'root': 3: Input should be a valid string",
        ),
        (
            {"reader": "synthetic", "count": "many"},
            "parameter 'count': 'many': Input should be a valid integer",
        ),
        ({"reader": "nowhere.at_all"}, "no reader named 'nowhere.at_all': known ones are .*w300"),
        ({"reader": "json"}, "no reader named 'json'"),
        ({"reader": "os.path"}, "path.py sets no READER, with which the module of a reader ends"),
        ({"reader": 3}, "no field 'reader' among"),
    ],
)
def test_wrong_specs(spec, message):
    with pytest.raises(ConfigError, match=message):
        check_reader(spec)


def test_reader_of_the_users_own_module(tmp_path, monkeypatch):
    package = tmp_path / "my_reading_team"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "faces.py").write_text(
        "class Mine:\n    def __init__(self, root): self.root = root\n\nREADER = Mine\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert open_reader({"reader": "my_reading_team.faces", "root": "r"}).root == "r"


def test_what_the_reader_itself_finds_wrong_is_passed_on():
    with pytest.raises(DataError, match="no such folder"):
        open_reader({"reader": "folder", "root": "nowhere"})


def test_a_class_that_is_no_reader_is_refused_with_its_file(tmp_path, monkeypatch):
    (tmp_path / "no_reader_team").mkdir()
    (tmp_path / "no_reader_team" / "faces.py").write_text("class Mine:\n    pass\n\nREADER = Mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ConfigError, match=r"reader 'no_reader_team.faces' has no method 'records'.*faces\.py"
    ):
        check_reader({"reader": "no_reader_team.faces"})
