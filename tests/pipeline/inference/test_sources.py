"""Arguments are told apart by what they are; nothing there is an error that names it."""

from __future__ import annotations

import tarfile

import fsspec
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.inference.sources import find_sources


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.png", "a.jpg"):
        Image.new("RGB", (8, 8)).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def names(*arguments) -> list[str]:
    return [record.name for record in find_sources([str(a) for a in arguments]).images]


def test_folders_files_and_patterns(photos):
    assert names(photos) == ["photos/a.jpg", "photos/b.png"]
    assert find_sources([str(photos)]).remarks == [
        f"{photos}: 1 file passed over, no image by extension: 1 × .txt"
    ]
    assert names(photos / "b.png") == [f"{photos}/b.png"]
    assert names(f"{photos}/*.[jp][pn]g") == [f"{photos}/a.jpg", f"{photos}/b.png"]
    for record in find_sources([str(photos)]).images:
        assert record.load().image_HW3.shape == (8, 8, 3)


def test_tars_are_read_in_place(photos, tmp_path):
    with tarfile.open(tmp_path / "web.tar", "w") as tar:
        tar.add(photos / "a.jpg", "0001.jpg")
        tar.add(photos / "b.png", "0002.png")
    assert names(tmp_path / "web.tar") == ["web/0001.jpg", "web/0002.png"]


def test_urls(photos):
    for name in ("a.jpg", "b.png"):
        with fsspec.open(f"memory://corpus/{name}", "wb") as file:
            file.write((photos / name).read_bytes())
    assert names("memory://corpus/a.jpg") == ["memory://corpus/a.jpg"]
    assert names("memory://corpus/*.png") == ["memory:///corpus/b.png"]
    assert find_sources(["memory://corpus/*.png"]).images[0].load().image_HW3.shape == (8, 8, 3)
    assert names("https://host/photo?size=large") == ["https://host/photo?size=large"]


def test_sets_and_videos(toy_sets, tmp_path):
    (tmp_path / "v.MP4").write_bytes(b"")
    found = find_sources(
        [str(toy_sets["test"]), f"{toy_sets['train']}/manifest.json", str(tmp_path / "v.MP4")]
    )
    assert found.sets == [str(toy_sets["test"]), str(toy_sets["train"])]
    assert found.videos == [str(tmp_path / "v.MP4")]
    assert found.images == []


@pytest.mark.parametrize("argument", ["gone", "gone.mp4", "gone/*.jpg"])
def test_nothing_there(tmp_path, argument):
    with pytest.raises(DataError, match="correct"):
        find_sources([f"{tmp_path}/{argument}"])
    with pytest.raises(DataError, match="nothing to predict"):
        find_sources([])


def test_an_image_that_is_gone_is_found_out_when_it_is_read(tmp_path):
    """One bad name of many must not end a run."""
    (record,) = find_sources([f"{tmp_path}/gone.jpg"]).images
    with pytest.raises(DataError, match="cannot read"):
        record.load()
