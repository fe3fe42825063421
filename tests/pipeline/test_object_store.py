"""An object store that fails for a while is asked again; one that stays away, and a client that is missing, are named."""

from __future__ import annotations

import errno
import sys

import fsspec
import pytest

from pipeline import object_store
from pipeline.errors import StorageError
from pipeline.object_store import ATTEMPTS, ask, read_object
from pipeline.storage import exists, names_in, open_text, read_text, remove, sizes_in, write_bytes, write_text


def test_what_is_written_is_read_listed_and_removed(s3):
    write_text("s3://faces/a/b.txt", "häh")
    write_bytes("s3://faces/a/c/d.bin", bytes(10))
    assert read_text("s3://faces/a/b.txt") == "häh"
    with open_text("s3://faces/a/b.txt") as file:
        assert file.read() == "häh"
    assert read_object("s3://faces/a/c/d.bin", 2, 5) == bytes(3)
    assert names_in("s3://faces/a") == ["b.txt", "c"]
    assert sizes_in("s3://faces/a") == {"b.txt": 4, "c": 0}
    assert exists("s3://faces/a/c")
    remove("s3://faces/a")
    assert not exists("s3://faces/a")
    assert (names_in("s3://faces/a"), read_text("s3://faces/a/b.txt")) == ([], None)


def test_what_another_process_writes_is_seen_at_once(s3):
    write_text("s3://faces/a/1", "")
    assert names_in("s3://faces/a") == ["1"]
    other = fsspec.filesystem("s3", skip_instance_cache=True)
    other.pipe_file("faces/a/2", b"")
    assert names_in("s3://faces/a") == ["1", "2"]
    other.rm("faces/a/1")
    assert not exists("s3://faces/a/1")


@pytest.mark.parametrize(
    "work",
    [
        lambda: write_text("s3://faces/x", "new"),
        lambda: read_object("s3://faces/x"),
        lambda: exists("s3://faces/x"),
        lambda: names_in("s3://faces"),
        lambda: remove("s3://faces/x"),
    ],
    ids=["write", "read", "exists", "list", "remove"],
)
def test_a_store_that_fails_for_a_while_is_asked_again(s3, work):
    write_text("s3://faces/x", "old")
    s3.failures = ATTEMPTS - 1
    work()
    assert s3.failures == 0
    s3.failures = 10**6
    asked = len(s3.asked)
    with pytest.raises(
        StorageError, match=rf"s3://faces(/x)?: the store failed {ATTEMPTS} times, .*run the same command"
    ):
        work()
    assert ATTEMPTS <= len(s3.asked) - asked <= 4 * ATTEMPTS


def test_a_write_that_fails_leaves_the_older_object(s3):
    write_text("s3://faces/x", "old")
    s3.failures = 10**6
    with pytest.raises(StorageError):
        write_text("s3://faces/x", "new")
    s3.failures = 0
    assert read_text("s3://faces/x") == "old"


def test_pauses_grow_and_no_two_are_alike(monkeypatch):
    pauses, calls = [], []
    monkeypatch.setattr(object_store.time, "sleep", pauses.append)

    def busy(*_args) -> None:
        calls.append(None)
        raise OSError(errno.EIO, "busy")

    with pytest.raises(StorageError, match="OSError:.*busy"):
        ask("memory://anything", busy)
    assert (len(calls), len(pauses)) == (ATTEMPTS, ATTEMPTS - 1)
    for attempt, pause in enumerate(pauses):
        full = object_store.FIRST_PAUSE_S * 2**attempt
        assert full / 2 <= pause <= full
    assert len(set(pauses)) == len(pauses)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("x"),
        IsADirectoryError("x"),
        OSError(errno.ENOSPC, "full"),
        ZeroDivisionError("our own"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_no_pause_cures_is_said_at_once(monkeypatch, error):
    monkeypatch.setattr(object_store.time, "sleep", lambda _: pytest.fail("waited"))

    def refuse(*_args) -> None:
        raise error

    with pytest.raises(type(error)):
        ask("memory://anything", refuse)


def test_absent_objects_and_buckets(s3):
    with pytest.raises(FileNotFoundError):
        read_object("s3://faces/nothing")
    with pytest.raises(FileNotFoundError):
        read_object("s3://no-such-bucket/x")
    assert not any(name.startswith("PUT") for name in s3.asked)


def test_a_store_without_keys_is_named(s3, monkeypatch):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nonexistent")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageError, match=r"s3://faces/x: NoCredentialsError.*AWS_ACCESS_KEY_ID"):
        write_text("s3://faces/x", "")


def test_a_client_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    registered = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(registered, "s3", raising=False)  # known where a test before has used it
    with pytest.raises(StorageError, match=r"s3://faces/x: .*s3fs.*pip install 'landmark-pipeline\[s3\]'"):
        exists("s3://faces/x")
    with pytest.raises(
        StorageError, match=r"nonsense://x: cannot be used: .*give a path or an object store's URL"
    ):
        exists("nonsense://x")
