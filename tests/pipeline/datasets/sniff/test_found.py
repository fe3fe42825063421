"""Names in order, and the folder that images lie in."""

from __future__ import annotations

import pytest

from pipeline.datasets.sniff.found import Found, folder_of_images, ordered_names
from pipeline.errors import DataError


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "b"], (2, ("b", "a"))),
        (["1", "0"], (2, None)),
        (["2", "1"], (2, None)),
        (["10", "2", "5"], (3, ("2", "5", "10"))),
        (["1", "x"], (2, ("1", "x"))),
    ],
)
def test_names(labels, expected):
    assert ordered_names(labels) == expected


def found(folder, *names, reader="coco"):
    return Found("COCO", reader, 3, path=folder / "export" / "x.json", images=names)


def test_the_folder_that_holds_most_images(images):
    (images / "export").mkdir()
    with pytest.raises(
        DataError, match=r"its images \(a\.jpg, c\.jpg\) are in none of .*say where with --images"
    ):
        folder_of_images(found(images, "a.jpg", "c.jpg"), [])
    one = folder_of_images(found(images, "a.jpg", "c.jpg", "b.png"), [images / "pictures"])
    assert one.root == images / "pictures"
    assert one.remarks == (f"1 of 3 images looked for are not in {images / 'pictures'}",)
    assert folder_of_images(found(images, "pictures/a.jpg"), []).root == images  # the parent


def test_uploads_are_found_without_their_prefix(images):
    names = ["0123abcd-a.jpg"]
    assert folder_of_images(found(images, *names, reader="label_studio"), [images / "pictures"]).remarks == ()
    with pytest.raises(DataError, match="are in none of"):
        folder_of_images(found(images, *names), [images / "pictures"])


def test_names_that_lead_out_are_not_looked_for(images):
    with pytest.raises(DataError, match="are in none of"):
        folder_of_images(
            found(images, "../pictures/a.jpg", str(images / "pictures/a.jpg"), ""), [images / "pictures"]
        )
