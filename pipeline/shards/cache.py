"""Shards of an object store on the local disk: each is fetched once a machine, however many of its processes read it.

The folder is bounded; the shards that were used longest ago go first. Settings, of every process of a machine alike:

- ``LANDMARKS_CACHE``: the folder; by default in the temporary folder, one for each user.
- ``LANDMARKS_CACHE_GIB``: its bound; 0 keeps nothing. By default 16.

The folder has to be this user's own. A cached file bears the object's size and version in its name: what was written anew is
fetched anew. A full disk is no failure: a shard is then read without being kept.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from pipeline.errors import ConfigError, StorageError
from pipeline.object_store import ask, get_object, read_object

FOLDER_VARIABLE, BOUND_VARIABLE = "LANDMARKS_CACHE", "LANDMARKS_CACHE_GIB"
_BOUND_GIB = 16.0
_AHEAD = 4  # transfers at once that nobody waits for yet
_LOCKS = 64  # files; two shards of one lock wait for each other, no more
_LEFT_S = 3600.0  # a transfer of a process that died
_VERSIONS = (
    "ETag",
    "etag",
    "generation",
    "md5",
    "content_md5",
    "LastModified",
    "last_modified",
    "mtime",
    "created",
)
"""What clients of stores tell a new version by."""


class ShardCache:
    """A bounded folder of fetched objects.

    Args:
        folder: Made where it is missing.
        bound: Bytes; at least the newest object is kept, if it is no larger than that.
    """

    def __init__(self, folder: Path, bound: int) -> None:
        self.folder, self.bound = folder, bound
        self._ahead: ThreadPoolExecutor | None = None

    def open(self, url: str) -> BinaryIO:
        """An object to be read from its beginning.

        Raises:
            FileNotFoundError: There is none.
            StorageError: The store does not give it.
        """
        while self.bound > 0:
            path = self._fetched(url)
            if path is None:
                break
            with suppress(FileNotFoundError):  # another process needed the space in between
                return path.open("rb")
        return io.BytesIO(read_object(url))

    def ahead(self, url: str) -> None:
        """Begin to fetch what will soon be opened; what goes wrong is said by whoever opens it."""
        if self.bound <= 0:
            return
        if self._ahead is None:
            self._ahead = ThreadPoolExecutor(_AHEAD, thread_name_prefix="shard-cache")
        self._ahead.submit(self._quietly, url)

    def _quietly(self, url: str) -> None:
        with suppress(OSError, StorageError):
            self._fetched(url)

    def _fetched(self, url: str) -> Path | None:
        """The local copy; None where the disk has no room for it."""
        told = ask(url, lambda store, path: store.info(path))
        size = int(told.get("size") or 0)
        if size > self.bound:
            return None
        version = [str(told[name]) for name in _VERSIONS if told.get(name) is not None]
        name = hashlib.sha256("\0".join([url, str(size), *version]).encode()).hexdigest()
        path = self.folder / f"{name}.tar"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.folder.stat().st_uid != os.getuid():
                return None  # somebody else made it, and could have put anything there
            with FileLock(self.folder / f"lock-{int(name[:8], 16) % _LOCKS:02d}"):
                if path.exists():
                    os.utime(path)
                    return path
                part = self.folder / f"{name}.part"
                get_object(url, str(part))
                part.replace(path)
            self._make_room(path)
        except OSError:  # of the disk, or of an object that went away: reading it says so
            return None
        return path

    def _make_room(self, newest: Path) -> None:
        with FileLock(self.folder / "lock-room"):
            used = []
            for path in self.folder.iterdir():
                with suppress(FileNotFoundError):
                    found = path.stat()
                    if path.suffix == ".tar":
                        used.append((found.st_mtime, found.st_size, path))
                    elif path.suffix == ".part" and time.time() - found.st_mtime > _LEFT_S:
                        path.unlink()
            total = sum(size for _, size, _ in used)
            for _, size, path in sorted(used):
                if total <= self.bound:
                    return
                if path != newest:
                    path.unlink(missing_ok=True)
                    total -= size


@cache
def _of(folder: str, bound: int) -> ShardCache:
    return ShardCache(Path(folder), bound)


def shard_cache() -> ShardCache:
    """This machine's.

    Raises:
        ConfigError: ``LANDMARKS_CACHE_GIB`` is no number.
    """
    folder = os.environ.get(FOLDER_VARIABLE) or f"{tempfile.gettempdir()}/landmarks-cache-{os.getuid()}"
    stated = os.environ.get(BOUND_VARIABLE) or str(_BOUND_GIB)
    try:
        bound = int(float(stated) * 2**30)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{BOUND_VARIABLE}={stated}: give a number of GiB; 0 keeps nothing") from error
    return _of(folder, bound)
