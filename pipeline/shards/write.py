"""Writing shards: the same samples give the same bytes, and a shard appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import BinaryIO

from pipeline.errors import DataError, ShardError
from pipeline.shards.manifest import SampleMeta
from pipeline.shards.read import RawSample
from pipeline.shards.shard_list import ShardEntry
from pipeline.storage import atomic_writer

_MAX_SLUG = 64
_UNSAFE = re.compile(r"[^A-Za-z0-9_]+")


def sample_key(source: str, name: str) -> str:
    """A sample's key: readable, unique, and safe as a file name in every tar.

    Args:
        source: Data set.
        name: Image's name within it.

    Returns:
        Letters, digits, '-' and '_' only (a dot would split the key in WebDataset), at most 75 characters, so
        that ``KEY.json`` fits USTAR's 100. Ends in 40 bits of a hash of (source, name), which tells apart
        names that look alike once reduced.
    """
    path = PurePosixPath(name)
    readable = _UNSAFE.sub("-", f"{source}-{path.with_suffix('') if path.name else path}").strip("-")
    digest = hashlib.sha1(f"{source}\0{name}".encode()).hexdigest()[:10]
    return f"{readable[-_MAX_SLUG:].strip('-')}-{digest}"


def encode_meta(meta: SampleMeta) -> bytes:
    """``KEY.json`` as canonical JSON: sorted keys, no blanks, no NaN.

    Raises:
        DataError: A value is not finite.
    """
    content = meta.model_dump()  # not mode="json": that would turn NaN into null in silence
    if (
        content["covariance"] is None
    ):  # annotated faces stay, byte for byte, what they were before there was this field
        del content["covariance"]
    try:
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:
        raise DataError(
            f"{meta.source}: {meta.image}: a number is not finite (box, attributes); correct the annotation"
        ) from error


class _Hashing:
    """Passes writes on and hashes them; TarWriter needs nothing but ``write``."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.bytes = 0

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        self.bytes += len(content)
        return self._file.write(content)


def write_shard(url: str, samples: Iterable[RawSample]) -> ShardEntry:
    """Write one tar.

    Args:
        url: Where; local path or URL.
        samples: At least one; order is kept.

    Returns:
        The manifest's entry.

    Raises:
        ShardError: No samples, or two of one key.
        StorageError: The disk is full or refuses the write; nothing is left behind.
    """
    from webdataset import TarWriter  # imports half a framework: only where it is used

    keys: set[str] = set()
    with atomic_writer(url) as file:
        hashing = _Hashing(file)
        # Fixed owner and time: bytes depend on the samples alone. The default format is USTAR.
        with TarWriter(hashing, user="landmarks", group="landmarks", mtime=0, encoder=False) as tar:
            for sample in samples:
                if sample.key in keys:
                    raise ShardError(
                        f"{url}: two samples have the key '{sample.key}'; rename one of the images"
                    )
                keys.add(sample.key)
                tar.write({"__key__": sample.key, "jpg": sample.jpg, "json": sample.json})
        if not keys:
            raise ShardError(f"{url}: a shard needs at least one sample")
    return ShardEntry(
        path=url.rsplit("/", 1)[-1], samples=len(keys), bytes=hashing.bytes, sha256=hashing.digest.hexdigest()
    )
