"""Images of an object store, fetched many at a time: the same records, in the same order, whatever comes first."""

from __future__ import annotations

import io
import threading

import fsspec
import numpy as np
import pytest
from PIL import Image

from pipeline.datasets import image as image_module
from pipeline.datasets.ahead import fetched_ahead
from pipeline.datasets.face import Unusable
from pipeline.datasets.image import StoredImage, stored_file
from pipeline.errors import DataError
from pipeline.storage import remove, write_bytes

STORE = "memory://test-ahead"


@pytest.fixture
def records():
    made = []
    for value in range(40):
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4), (value, 0, 0)).save(buffer, "PNG")
        url = f"{STORE}/{value:02d}.png"
        write_bytes(url, buffer.getvalue())
        made.append(StoredImage("s", f"{value}", url, None, True, 0, len(buffer.getvalue())))
    yield made
    remove(STORE)


def test_many_are_fetched_at_once_and_come_in_order(records, monkeypatch):
    together = threading.Barrier(8, timeout=60)  # broken unless eight requests wait at the same time
    true = image_module.read_object

    def slow(url: str, start: int, stop: int) -> bytes:
        if int(url[-6:-4]) < 8:
            together.wait()
        return true(url, start, stop)

    monkeypatch.setattr(image_module, "read_object", slow)
    came = list(fetched_ahead(records))
    assert came == records
    assert all(record.content is not None for record in came)
    assert [int(record.load().image_HW3[0, 0, 0]) for record in came] == list(range(40))


def test_no_more_are_held_than_are_fetched_at_once(records, monkeypatch):
    true, fetched = image_module.read_object, []
    monkeypatch.setattr(image_module, "read_object", lambda *a: fetched.append(a) or true(*a))
    coming = fetched_ahead(records)
    next(coming)
    next(coming)
    assert len(fetched) <= 18
    coming.close()


def test_one_that_cannot_be_fetched_says_so_when_it_is_loaded(records, tmp_path):
    fsspec.filesystem("memory").rm("/test-ahead/03.png")
    unusable = Unusable("s", "x", "bad_annotation", "no points")
    Image.new("RGB", (4, 4), (99, 0, 0)).save(tmp_path / "local.png")
    local = stored_file(tmp_path / "local.png", source="s", name="local")
    came = list(fetched_ahead([*records[:5], unusable, local]))
    assert [record.name for record in came] == ["0", "1", "2", "3", "4", "x", "local"]
    with pytest.raises(DataError, match=r"03\.png: cannot read 3"):
        came[3].load()
    assert np.all(came[6].load().image_HW3[..., 0] == 99)
    assert came[6].content is None


def test_records_of_a_disk_pass_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(StoredImage, "fetched", lambda _: pytest.fail("fetched from a disk"))
    Image.new("RGB", (4, 4)).save(tmp_path / "1.png")
    records = [stored_file(tmp_path / "1.png", source="s", name="1")]
    assert list(fetched_ahead(records)) == records
