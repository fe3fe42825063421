"""Shards of an object store on the local disk: fetched once, bounded, never a stale one."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, ShardError, StorageError
from pipeline.shards import cache as cache_module
from pipeline.shards.cache import ShardCache, shard_cache
from pipeline.shards.read import iterate_shard
from pipeline.storage import remove, write_bytes

STORE = "memory://test-cache"


@pytest.fixture
def gets(monkeypatch):
    """URLs fetched so far."""
    fetched, true = [], cache_module.get_object
    monkeypatch.setattr(cache_module, "get_object", lambda url, path: fetched.append(url) or true(url, path))
    yield fetched
    remove(STORE)


def put(name: str, content: bytes) -> str:
    write_bytes(f"{STORE}/{name}", content)
    return f"{STORE}/{name}"


def kept(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.tar"))


def test_a_shard_is_fetched_once_and_anew_when_it_was_written_anew(tmp_path, gets):
    url, cache = put("a", b"old"), ShardCache(tmp_path, 100)
    for _ in range(3):
        with cache.open(url) as file:
            assert file.read() == b"old"
    assert gets == [url]
    put("a", b"new")  # no longer, no shorter
    with cache.open(url) as file:
        assert file.read() == b"new"
    assert gets == [url, url]


def test_what_was_used_longest_ago_makes_room(tmp_path, gets):
    urls = [put(name, name.encode() * 30) for name in "abcd"]
    cache = ShardCache(tmp_path, 100)
    for age, url in enumerate(urls[:3]):
        cache.open(url).close()
        newest = max(tmp_path.glob("*.tar"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (1000 + age, 1000 + age))
    cache.open(urls[0]).close()  # used again: b is the oldest now
    cache.open(urls[3]).close()
    assert kept(tmp_path) == 90
    gets.clear()
    for url in (urls[0], urls[2], urls[3]):
        cache.open(url).close()
    assert gets == []
    cache.open(urls[1]).close()
    assert gets == [urls[1]]
    assert kept(tmp_path) <= 100


def test_a_shard_that_is_being_read_may_be_dropped(tmp_path, gets):
    first, second = put("a", b"a" * 60), put("b", b"b" * 60)
    cache = ShardCache(tmp_path, 100)
    with cache.open(first) as file:
        cache.open(second).close()
        assert kept(tmp_path) == 60
        assert file.read() == b"a" * 60


@pytest.mark.parametrize("bound", [0, 5])
def test_what_does_not_fit_is_read_without_being_kept(tmp_path, gets, bound):
    with ShardCache(tmp_path / "none", bound).open(put("a", bytes(10))) as file:
        assert file.read() == bytes(10)
    assert gets == []
    assert not (tmp_path / "none").exists()


def test_a_full_disk_is_no_failure(tmp_path, gets, monkeypatch):
    def full(*_args) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "get_object", full)
    with ShardCache(tmp_path, 100).open(put("a", b"whole")) as file:
        assert file.read() == b"whole"


def test_many_at_once_fetch_it_once(tmp_path, gets):
    url, cache = put("a", bytes(50)), ShardCache(tmp_path, 100)
    threads = [threading.Thread(target=lambda: cache.open(url).close()) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gets == [url]


def test_ahead_of_use_it_is_there_already(tmp_path, gets):
    url, cache = put("a", bytes(50)), ShardCache(tmp_path, 100)
    cache.ahead(url)
    cache.ahead(f"{STORE}/nothing")  # said by whoever opens it
    deadline = time.monotonic() + 30
    while not kept(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    cache.open(url).close()
    assert gets == [url]
    with pytest.raises(FileNotFoundError):
        cache.open(f"{STORE}/nothing")


def test_what_a_dead_process_left_half_done_goes(tmp_path, gets):
    old, young = tmp_path / "x.part", tmp_path / "y.part"
    for path in (old, young):
        path.write_bytes(bytes(10))
    os.utime(old, (1000, 1000))
    ShardCache(tmp_path, 100).open(put("a", bytes(10))).close()
    assert not old.exists()
    assert young.exists()


def test_a_shard_that_cannot_be_had_is_named(gets, s3):
    with pytest.raises(ShardError, match="s3://faces/x.tar: no such shard"):
        list(iterate_shard("s3://faces/x.tar"))
    s3.failures = 10**6
    with pytest.raises(ShardError, match="s3://faces/x.tar: cannot read: .*failed 6 times"):
        list(iterate_shard("s3://faces/x.tar"))
    with pytest.raises(StorageError):
        shard_cache().open("s3://faces/x.tar")


def test_a_bound_that_is_no_number_is_named(monkeypatch):
    monkeypatch.setenv("LANDMARKS_CACHE_GIB", "many")
    with pytest.raises(ConfigError, match="LANDMARKS_CACHE_GIB=many: give a number of GiB"):
        shard_cache()


def test_a_folder_of_somebody_else_is_not_used(tmp_path, gets, monkeypatch):
    url = put("a", b"true")
    monkeypatch.setattr(cache_module.os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with ShardCache(tmp_path, 100).open(url) as file:
        assert file.read() == b"true"
    assert (gets, kept(tmp_path)) == ([], 0)
