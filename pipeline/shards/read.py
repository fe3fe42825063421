"""Reading a shard front to back, fast, trusting nothing in it.

A shard is a USTAR tar of adjacent pairs ``KEY.jpg``, ``KEY.json``. Walking the 512-byte headers here is five
times faster than ``tarfile`` (measured: 108,000 against 22,000 samples/s), and still checks each header's
sum.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from pipeline.errors import ShardError, StorageError
from pipeline.shards.cache import shard_cache
from pipeline.storage import is_local, local_path

BLOCK = 512
_READ_AHEAD = 1 << 20
_KEY = re.compile(r"[A-Za-z0-9_-]{1,95}")
_MAX_MEMBER = 1 << 28
"""Bytes; a stored face has some thousand. A damaged or hostile header may claim gigabytes, which would be allocated."""
_REMEDY = "copy the shard again, or prepare the set again"


class RawSample(NamedTuple):
    """One sample, not yet decoded.

    Attributes:
        key: Unique name.
        jpg: The encoded image.
        json: ``SampleMeta`` as JSON.
    """

    key: str
    jpg: bytes
    json: bytes


@contextmanager
def _open(url: str) -> Iterator[BinaryIO]:
    try:
        if is_local(url):
            with local_path(url).open("rb", buffering=_READ_AHEAD) as file:
                yield file
        else:
            with shard_cache().open(url) as held:
                yield held
    except FileNotFoundError as error:
        raise ShardError(f"{url}: no such shard; {_REMEDY}") from error
    except (OSError, StorageError) as error:
        raise ShardError(f"{url}: cannot read: {error}") from error


def _parse(header: bytes, url: str, after: str) -> tuple[str, int]:
    """Name and size of the member a header announces."""
    where = f"{url}: after {after}"
    if len(header) < BLOCK:
        raise ShardError(f"{where}: the tar is truncated; {_REMEDY}")
    try:
        stated = int(header[148:156].rstrip(b" \0"), 8)
        size = int(header[124:136].rstrip(b" \0"), 8)
        name = header[:100].rstrip(b"\0").decode("ascii")
    except ValueError as error:
        raise ShardError(f"{where}: no tar header here, the file is damaged; {_REMEDY}") from error
    if not 0 <= size <= _MAX_MEMBER:
        raise ShardError(f"{where}: '{name}' claims {size} bytes; {_REMEDY}")
    # The sum counts its own eight bytes as blanks.
    if sum(header) - sum(header[148:156]) + 256 != stated:
        raise ShardError(f"{where}: the header of '{name}' is damaged; {_REMEDY}")
    if header[156:157] not in (b"0", b"\0") or header[345:346] != b"\0":
        raise ShardError(
            f"{url}: member '{name}' is no plain USTAR file; write shards with 'landmarks prepare'"
        )
    return name, size


def _members(file: BinaryIO, url: str) -> Iterator[tuple[str, bytes]]:
    after = "its start"
    read = file.read
    while True:
        header = read(BLOCK)
        if not header.strip(b"\0") and len(header) == BLOCK:
            if read(BLOCK) != bytes(BLOCK):
                raise ShardError(f"{url}: after {after}: the end mark is incomplete; {_REMEDY}")
            return
        name, size = _parse(header, url, after)
        content = read(size)
        padding = -size % BLOCK
        if len(content) != size or len(read(padding)) != padding:
            raise ShardError(f"{url}: the tar is truncated in member '{name}'; {_REMEDY}")
        yield name, content
        after = f"'{name}'"


def iterate_shard(url: str) -> Iterator[RawSample]:
    """Yield the samples of a shard in order.

    Args:
        url: The tar; local path or URL.

    Raises:
        ShardError: Missing, truncated or damaged; a sample whose two members are not adjacent; a name that is
            not a plain key (no folders, no dots). The message names tar and member.
    """
    with _open(url) as file:
        members = _members(file, url)
        for name, jpg in members:
            key = name[:-4]
            if not name.endswith(".jpg") or _KEY.fullmatch(key) is None:
                raise ShardError(
                    f"{url}: member '{name}' where KEY.jpg was due (letters, digits, - and _); {_REMEDY}"
                )
            second = next(members, None)
            if second is None or second[0] != f"{key}.json":
                found = f"'{second[0]}'" if second else "the end"
                raise ShardError(f"{url}: '{name}' is followed by {found}, not by '{key}.json'; {_REMEDY}")
            yield RawSample(key, jpg, second[1])
