"""Files appear whole or not at all: after errors, on a full disk, in object stores."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from pipeline.errors import StorageError
from pipeline.storage import (
    absolute,
    atomic_writer,
    exists,
    is_local,
    local_path,
    read_text,
    require_free_space,
    write_bytes,
    write_text,
)


@pytest.fixture
def store():
    """An object store in memory; yields its URL."""
    yield "memory://test-storage"
    files = fsspec.filesystem("memory")
    if files.exists("/test-storage"):
        files.rm("/test-storage", recursive=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_half(url: str, error: BaseException) -> None:
    with atomic_writer(url) as file:
        file.write(b"half")
        raise error


def read(url: str) -> bytes:
    with fsspec.open(url, "rb") as file:
        return file.read()


def test_a_file_is_written_whole_into_folders_that_did_not_exist(tmp_path):
    url = str(tmp_path / "a" / "b" / "file.bin")
    write_bytes(url, b"content")
    assert Path(url).read_bytes() == b"content"
    assert names(tmp_path / "a" / "b") == ["file.bin"]


def test_text_is_utf8(tmp_path):
    write_text(f"file://{tmp_path}/text", "λ = 0.001\n")
    assert (tmp_path / "text").read_bytes() == "λ = 0.001\n".encode()


def test_nothing_is_seen_before_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_writer(str(path)) as file:
        file.write(b"new, longer")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new, longer"


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(type(error)):
        write_half(str(path), error)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_an_error_before_anything_existed_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="x"):
        write_half(str(tmp_path / "file"), ValueError("x"))
    assert names(tmp_path) == []


# A limit on file sizes is a full disk that needs no disk: the write fails half-way with an OSError.
_FULL = """
import resource, signal, sys
from pipeline.errors import StorageError
from pipeline.storage import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
try:
    write_bytes(sys.argv[1], b"n" * 1_000_000)
except StorageError as error:
    print(error)
"""


def test_a_full_disk_is_said_clearly_and_the_old_file_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"o" * 10_000)
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    assert f"{path}: the disk is full" in done.stdout
    assert "free space and run the same command again" in done.stdout
    assert path.read_bytes() == b"o" * 10_000
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_every_way_a_disk_is_full(tmp_path, monkeypatch, code):
    def refuse(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match="the disk is full"):
        write_bytes(str(tmp_path / "file"), b"content")
    assert names(tmp_path) == []


def test_a_refused_write_names_the_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"file/below: cannot write: (Not a directory|File exists)"):
        write_bytes(str(tmp_path / "file" / "below"), b"content")


def test_an_object_store_takes_files(store):
    write_bytes(f"{store}/a/b.bin", b"content")
    assert read(f"{store}/a/b.bin") == b"content"
    write_text(f"{store}/a/b.bin", "other")
    assert read(f"{store}/a/b.bin") == b"other"


def test_an_error_publishes_nothing_in_an_object_store(store):
    with pytest.raises(ValueError, match="x"):
        write_half(f"{store}/new", ValueError("x"))
    assert not fsspec.filesystem("memory").exists("/test-storage/new")
    write_bytes(f"{store}/old", b"old")
    with pytest.raises(ValueError, match="x"):
        write_half(f"{store}/old", ValueError("x"))
    assert read(f"{store}/old") == b"old"


def test_one_store_can_be_written_to_while_another_write_is_open(store):
    with atomic_writer(f"{store}/outer") as outer:
        outer.write(b"out")
        write_bytes(f"{store}/inner", b"in")
        assert read(f"{store}/inner") == b"in"
        assert not fsspec.filesystem("memory").exists("/test-storage/outer")
    assert read(f"{store}/outer") == b"out"


def test_a_store_that_refuses_is_named(store, monkeypatch):
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "_open", refuse)
    with pytest.raises(StorageError, match=r"memory://test-storage/x: access denied .*Access Denied"):
        write_bytes(f"{store}/x", b"content")


def test_free_space_is_asked_for_before_the_work(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=3 * 2**20))
    target = str(tmp_path / "not" / "there" / "yet")
    require_free_space(target, 3 * 2**20, "the set")
    with pytest.raises(StorageError, match="3 MiB free, but the set needs about 4 MiB"):
        require_free_space(target, 4 * 2**20, "the set")
    require_free_space("s3://bucket/set", 2**60, "the set")  # a store does not say


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_local("a/b")
    assert is_local("file:///a/b")
    assert not is_local("s3://a/b")
    assert local_path("file:///a/b") == Path("/a/b")
    assert absolute("a/b") == str(tmp_path / "a" / "b")
    assert absolute("s3://a/b") == "s3://a/b"
    assert absolute("~/x") == str(Path.home() / "x")


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("", "a/b", "{here}/a/b"),
        ("/shared", "a/b", "/shared/a/b"),
        ("/shared/", "./a//b", "/shared/a/b"),
        ("file:///shared", "a/b", "/shared/a/b"),
        ("relative", "a/b", "{here}/relative/a/b"),
        ("~/shared", "a/b", "{home}/shared/a/b"),
        ("s3://bucket", "a/b", "s3://bucket/a/b"),
        ("s3://bucket/deep/", "./a//b", "s3://bucket/deep/a/b"),
        # What says itself where it is stays there.
        *((root, "/abs/a", "/abs/a") for root in ("", "/shared", "s3://bucket")),
        *((root, "file:///abs/a", "/abs/a") for root in ("", "/shared", "s3://bucket")),
        *((root, "~/a", "{home}/a") for root in ("", "/shared", "s3://bucket")),
        *((root, "gs://other/a", "gs://other/a") for root in ("", "/shared", "s3://bucket")),
    ],
)
def test_relative_paths_start_at_the_root(tmp_path, monkeypatch, root, path, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LANDMARKS_ROOT", root)
    found = absolute(path)
    assert found == expected.format(here=tmp_path, home=tmp_path / "home")
    assert absolute(found) == found
    if not root:
        monkeypatch.delenv("LANDMARKS_ROOT")
        assert absolute(path) == found


@pytest.mark.parametrize("where", ["disk", "store"])
def test_what_is_there_is_read_and_what_is_not_is_none(where, tmp_path, store):
    url = f"{tmp_path if where == 'disk' else store}/folder/text"
    assert read_text(url) is None
    assert not exists(url)
    write_text(url, "öffentlich\n")
    assert read_text(url) == "öffentlich\n"
    assert exists(url)
    assert exists(url.removesuffix("/text"))
