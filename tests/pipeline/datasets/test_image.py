"""Images in files: what is listed, what is read."""

from __future__ import annotations

import io
import os
import pickle

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets._decode import DeclaredSize
from pipeline.datasets.face import Annotation, FaceRecord, Unusable, UnusableError
from pipeline.datasets.image import StoredImage, name_by_place, printable, stored_file, uniquely_named
from pipeline.errors import DataError


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def test_record_travels_and_loads(tmp_path, noise):
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(noise)))
    annotation = Annotation(np.zeros((2, 2)), np.ones(2, dtype=bool))
    record = pickle.loads(pickle.dumps(stored_file(path, source="s", name="a.png", annotation=annotation)))
    assert isinstance(record, FaceRecord)
    image = record.load()
    np.testing.assert_array_equal(image.image_HW3, noise)
    assert image.content == path.read_bytes()
    assert image.annotation is not None


def test_fingerprint_follows_annotation_and_size(tmp_path):
    def record(points, length=3):
        return StoredImage(
            "s", "n", "p", Annotation(np.array(points), np.ones(1, dtype=bool)), False, 0, length
        )

    base = record([[1.0, 2.0]]).fingerprint()
    assert base == record([[1.0, 2.0]]).fingerprint()
    assert len({base, record([[1.0, 2.5]]).fingerprint(), record([[1.0, 2.0]], 4).fingerprint()}) == 3


def test_file_that_shrank_since_it_was_listed(tmp_path, noise):
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(noise)))
    record = stored_file(path, source="s", name="a.png")
    path.write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.png has 1 bytes, had \d+ when it was listed"):
        record.load()


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        stored_file(tmp_path / "a.png", source="s", name="a")
    (tmp_path / "b.png").touch()
    with pytest.raises(DataError, match=r"b\.png: the file is empty"):
        stored_file(tmp_path / "b.png", source="s", name="b")


def test_of_records_of_one_name_the_first_is_kept():
    records = [StoredImage("s", "n", path, None, False, 0, 1) for path in ("/a/n", "/b/n")]
    kept, left_out = uniquely_named([Unusable("s", "n", "unreadable", "x"), *records])[::2]
    assert kept is records[0]
    assert isinstance(left_out, Unusable)
    with pytest.raises(UnusableError, match=r"/b/n: the name 'n' is taken by /a/n"):
        uniquely_named(records)[1].load()


def test_only_regular_files_are_opened(tmp_path, noise):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UnusableError, match=r"pipe\.jpg: no regular file"):
        stored_file(tmp_path / "pipe.jpg", source="s", name="p")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(UnusableError, match=r"link\.jpg: No such file"):
        stored_file(tmp_path / "link.jpg", source="s", name="l")
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(noise)))
    record = stored_file(path, source="s", name="a.png")
    path.unlink()
    os.mkfifo(path)  # since it was listed
    with pytest.raises(UnusableError, match="no regular file"):
        record.load()


def test_names_that_are_no_unicode(tmp_path):
    latin = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")
    type(tmp_path)(latin).write_bytes(b"x")
    with pytest.raises(UnusableError, match=r"caf\\udce9\.jpg: its name is not UTF-8; rename it"):
        stored_file(type(tmp_path)(latin), source="s", name="c")
    for name in ("a\0b.jpg", "\ud800.jpg"):
        with pytest.raises(UnusableError):
            stored_file(tmp_path / name, source="s", name="n")
    assert printable("caf\udce9") == "caf\\udce9"


def test_an_annotation_in_shares_follows_the_images_scale(tmp_path, noise):
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(noise)))  # 30 × 40
    annotation = Annotation(
        np.array([[59.5, 79.5], [-0.5, -0.5]]), np.ones(2, dtype=bool), (-0.5, 1.5, 29.5, 39.5)
    )
    declared = DeclaredSize(60, 80, relative=True)
    record = stored_file(path, source="s", name="a", annotation=annotation, declared=declared)
    loaded = record.load().annotation
    np.testing.assert_allclose(loaded.points_K2, [[29.5, 39.5], [-0.5, -0.5]])  # corner stays corner
    np.testing.assert_allclose(loaded.box, (-0.5, 0.5, 14.5, 19.5))
    assert (
        record.fingerprint() != stored_file(path, source="s", name="a", annotation=annotation).fingerprint()
    )


def test_an_unusable_record_says_why_and_travels():
    record = pickle.loads(pickle.dumps(Unusable("s", "n", "wrong_size", "a.png: 1×1 px")))
    with pytest.raises(UnusableError, match="a.png: 1×1 px") as caught:
        record.load()
    assert pickle.loads(pickle.dumps(caught.value)).reason == "wrong_size"


def test_a_faces_place_is_its_name_whatever_its_order_and_what_it_hides():
    assert name_by_place("a.jpg", np.array([[1.0, 2.0], [np.nan, np.nan], [2.0, 3.0]])) == "a.jpg#1.5_2.5"
