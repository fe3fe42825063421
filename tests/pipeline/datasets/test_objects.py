"""Unlabelled images in an object store: the same records, names and pixels as on a disk."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.face import Unusable
from pipeline.datasets.folder import ImageFolder
from pipeline.datasets.w300 import W300
from pipeline.errors import DataError, StorageError
from pipeline.storage import write_bytes


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


CONTENT = {
    "photos/b/2.PNG": png(0),
    "photos/a/1.png": png(1),
    "photos/3.png": png(2),
    "photos/a/._1.png": b"macOS",
    "photos/readme.txt": b"no image",
    "photos/empty.png": b"",
    "web/0.tar": tar({f"x/{i}.png": png(10 + i) for i in range(5)} | {"x/list.txt": b"."}),
    "web/1.tar": tar({"y/0.png": png(20)}),
}


@pytest.fixture
def places(s3, tmp_path):
    """(local folder, URL) of the same content."""
    for name, content in CONTENT.items():
        write_bytes(f"s3://faces/in/{name}", content)
        write_bytes(f"{tmp_path}/in/{name}", content)
    s3.asked.clear()
    return f"{tmp_path}/in", "s3://faces/in"


@pytest.mark.parametrize(
    "roots",
    [["photos"], ["web"], ["web/0.tar"], ["photos", "web"], ["web/*.tar"], ["web/{0..1}.tar"], ["photos/", "photos/a"]],
    ids=str,
)  # fmt: skip
def test_records_are_those_of_the_disk(places, roots):
    here, there = (ImageFolder([f"{place}/{root}" for root in roots]) for place in places)
    expected, found = here.records(), there.records()
    assert [record.name for record in found] == [record.name for record in expected]
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(theirs, Unusable):
            assert isinstance(ours, Unusable)
            continue
        assert ours.fingerprint() == theirs.fingerprint()
        np.testing.assert_array_equal(ours.load().image_HW3, theirs.load().image_HW3)
    assert [r.partition("photos")[2] for r in there.remarks] == [
        r.partition("photos")[2] for r in here.remarks
    ]


def test_an_image_within_a_tar_is_read_by_its_range(places, s3):
    records = ImageFolder(f"{places[1]}/web").records()
    s3.failures = 3  # and again where the store is busy
    assert records[1].load().image_HW3[0, 0, 0] == 11
    assert s3.failures == 0
    assert not any("photos" in request for request in s3.asked)


def test_what_is_not_there_or_holds_nothing_is_named(places, s3):
    for root, problem in (
        ("nothing", "s3://faces/in/nothing: no such folder or object"),
        ("*.jpg", r"s3://faces/in/\*.jpg: no such folder or object"),
        ("photos/readme.txt", "no images in it"),
    ):
        with pytest.raises(DataError, match=problem):
            ImageFolder(f"{places[1]}/{root}").records()
    with pytest.raises(DataError, match="s3://faces/in/photos is given twice"):
        ImageFolder([f"{places[1]}/photos", f"{places[1]}/photos/"])
    write_bytes("s3://faces/in/cut/0.tar", CONTENT["web/0.tar"][:3000])
    with pytest.raises(DataError, match=r"s3://faces/in/cut/0\.tar: (truncated|not a plain, whole tar)"):
        ImageFolder(f"{places[1]}/cut").records()
    s3.failures = 10**6
    with pytest.raises(StorageError, match="s3://faces/in/photos: the store failed 6 times"):
        ImageFolder(f"{places[1]}/photos").records()


def test_readers_of_annotations_say_that_they_need_a_disk():
    with pytest.raises(DataError, match=r"s3://faces/300w: this reader reads local files; copy the data set"):
        W300("s3://faces/300w", ["afw"])
