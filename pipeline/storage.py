"""Files, local or in an object store; written so that nobody ever sees half of one: temp file, fsync, rename."""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from pipeline.errors import StorageError
from pipeline.object_store import ask, put_object, read_object

ROOT_VARIABLE = "LANDMARKS_ROOT"
"""Environment variable: where relative paths start."""


def is_local(url: str) -> bool:
    """Whether a path needs no object-store client."""
    return "://" not in url or url.startswith("file://")


def local_path(url: str) -> Path:
    """The local path behind a plain path or a file:// URL."""
    return Path(url.removeprefix("file://"))


def absolute(url: str) -> str:
    """Absolute form of a path; URLs as they are. Workers change directory, so paths handed to them are absolute.

    A relative path starts at the folder or URL in ``LANDMARKS_ROOT``, or at the current folder: a job on a cluster runs in a
    copy of the submitter's folder that is thrown away, so there the variable names shared storage.
    """
    if not is_local(url):
        return url
    path, root = local_path(url).expanduser(), os.environ.get(ROOT_VARIABLE, "")
    if root and not path.is_absolute():
        if not is_local(root):
            return f"{root.rstrip('/')}/{path.as_posix()}"
        path = local_path(root).expanduser() / path
    return str(path.absolute())


def _explain(error: OSError, url: str) -> StorageError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return StorageError(
            f"{url}: the disk is full ({error.strerror}); free space and run the same command again: it resumes"
        )
    return StorageError(f"{url}: cannot write: {error.strerror or error}")


def fsync_folder(folder: Path) -> None:
    """Make a rename in this folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_writer(url: str) -> Iterator[BinaryIO]:
    """Open ``url`` for binary writing; it appears, whole, only when the block ends without an error.

    Raises:
        StorageError: The disk is full or refuses the write. The temporary file is removed, an older file is left as it was.
    """
    if not is_local(url):
        # By way of a local file: closing a remote one publishes what was written so far, error or not, and a transfer that fails
        # can be repeated.
        try:
            with tempfile.NamedTemporaryFile(prefix="landmarks-upload-") as held:
                yield cast(BinaryIO, held)
                held.flush()
                put_object(held.name, url)
        except OSError as error:
            raise _explain(error, url) from error
        return
    path = local_path(url)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        raise _explain(error, url) from error
    finally:
        # Gone already after a rename; where its folder could not even be made, there is nothing to remove.
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def write_bytes(url: str, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_writer(url) as file:
        file.write(content)


def write_text(url: str, text: str) -> None:
    """Write a whole UTF-8 text file atomically."""
    write_bytes(url, text.encode("utf-8"))


def open_binary(url: str) -> BinaryIO:
    """A file to be read; one in an object store is read whole, at once.

    Raises:
        OSError: There is none, or the disk refuses to read it.
        StorageError: The store does.
    """
    return local_path(url).expanduser().open("rb") if is_local(url) else io.BytesIO(read_object(url))


def open_text(url: str) -> TextIO:
    """A UTF-8 text file to be read; as ``open_binary``."""
    return io.TextIOWrapper(open_binary(url), encoding="utf-8")


def read_text(url: str) -> str | None:
    """A UTF-8 text file's content; None where there is no such file."""
    try:
        with open_text(url) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def exists(url: str) -> bool:
    """Whether there is a file or a folder."""
    try:
        # A client's own 'exists' may take a store that fails for an empty one.
        ask(url, lambda store, path: store.info(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def require_free_space(url: str, needed_bytes: int, what: str) -> None:
    """Fail before expensive work if a local disk cannot hold its result.

    Raises:
        StorageError: Less than ``needed_bytes`` free; the message gives both figures.
    """
    if not is_local(url):
        return
    folder = local_path(url).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise StorageError(
            f"{folder}: {free / 2**20:.0f} MiB free, but {what} needs about {needed_bytes / 2**20:.0f} MiB; "
            "free space or choose another disk"
        )


def remove(url: str) -> None:
    """Remove a file or folder, if it is there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        ask(absolute(url), lambda store, path: store.rm(path, recursive=True))


def names_in(folder: str) -> list[str]:
    """Names of what lies in a folder, sorted; none where there is no folder."""
    try:
        return sorted(map(_name, ask(absolute(folder), lambda store, path: store.ls(path, detail=False))))
    except (FileNotFoundError, NotADirectoryError):
        return []


def sizes_in(folder: str) -> dict[str, int]:
    """What lies in a folder, by name: bytes of files, 0 of folders; nothing where there is no folder."""
    try:
        entries = ask(absolute(folder), lambda store, path: store.ls(path, detail=True))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {_name(entry["name"]): int(entry["size"] or 0) for entry in entries}


def files_below(folder: str) -> list[str]:
    """Paths, below a folder, of all files in it and in its folders, sorted; none where there is no folder."""

    def found(store: Any, root: str) -> list[str]:
        root = root.rstrip("/")
        return sorted(str(path).removeprefix(f"{root}/") for path in store.find(root))

    return ask(absolute(folder), found)


def _name(path: str) -> str:
    return str(path).rstrip("/").rsplit("/", 1)[-1]
