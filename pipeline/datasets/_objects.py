"""Images in an object store: what lies under a URL, and a tar there whose index is read without the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from braceexpand import braceexpand

from pipeline.errors import DataError
from pipeline.object_store import ask

_BLOCK = 1 << 16
"""Bytes that are fetched around a tar's header: small images have the next one in the same block."""


def expand_urls(urls: Iterable[str]) -> list[str]:
    """What lists in braces and patterns stand for, as of folders on a disk.

    Raises:
        DataError: One that matches nothing, or for what is given already.
        StorageError: A store cannot be used.
    """
    found: list[str] = []
    for url in urls:
        try:
            patterns = list(braceexpand(url))
        except ValueError as error:  # unbalanced braces
            raise DataError(f"field 'root' is {url!r}: {error}") from error
        for pattern in patterns:
            for match in _matches(pattern):
                if match in found:
                    raise DataError(f"field 'root': {match} is given twice; remove one")
                found.append(match)
    return found


def _matches(pattern: str) -> list[str]:
    if not any(sign in pattern for sign in "*?["):
        return [pattern.rstrip("/")]

    def matching(store: Any, path: str) -> list[str]:
        return [str(store.unstrip_protocol(match)) for match in sorted(store.glob(path))]

    matches = ask(pattern, matching)
    if not matches:
        raise DataError(f"{pattern}: no such folder or object; correct 'root'")
    return matches


def sizes_under(url: str) -> dict[str, int]:
    """Bytes of every object under a URL, by its path below it, sorted; of an object itself by the empty path.

    Raises:
        DataError: There is none.
        StorageError: The store cannot be used.
    """

    def look(store: Any, path: str) -> dict[str, int]:
        found = store.find(path, detail=True)
        return {
            name.removeprefix(path.rstrip("/")).lstrip("/"): int(told["size"] or 0)
            for name, told in sorted(found.items())
        }

    sizes = ask(url, look)
    if not sizes:
        raise DataError(f"{url}: no such folder or object; correct 'root'")
    return sizes


@contextmanager
def open_seekable(url: str) -> Iterator[BinaryIO]:
    """An object to leap about in: a block at a time is fetched where it is read.

    Raises:
        OSError: There is none, or the store fails in between.
        StorageError: The store cannot be used.
    """
    with ask(url, lambda store, path: store.open(path, "rb", block_size=_BLOCK)) as file:
        yield cast(BinaryIO, file)
