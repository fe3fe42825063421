"""The shards a manifest lists, held as columns: 4·10⁵ of them are 30 MB and load in a fraction of a second, not objects of 1 kB.

On disk a set of up to ``LISTED`` shards lists each as an object of its own, which people read and other tools parse. A larger one
whose shards are numbered, as ``landmarks prepare`` numbers them, writes the columns themselves (manifest version 2)::

    {"prefix": "faces-0a1b2c3d-", "digits": 6, "samples": [256, …], "bytes": [1310720, …], "sha256": "64 hex digits each, joined"}

Both say the same, and a set's content hash is the same for both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, overload

import numpy as np
from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, core_schema

from pipeline.strict import Strict

LISTED = 4096
"""Shards from which on a manifest holds columns: below, its list loads in some ten milliseconds."""
_MOST = 2**40
"""Samples or bytes of one shard: sums over any number of shards that a manifest can list stay within 64 bits."""
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NUMBERED = re.compile(rf"({_NAME}-)(\d+)\.tar")


class ShardEntry(Strict):
    """One tar of the set."""

    path: str = Field(
        # Whoever wrote the manifest must not choose which other files are opened.
        pattern=f"^{_NAME}$",
        description="file name in the manifest's folder",
    )
    samples: int = Field(ge=1, le=_MOST)
    bytes: int = Field(ge=1, le=_MOST)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


def _counts(value: Any) -> np.ndarray:
    # One pass in C; pydantic's would take each number into its hands.
    if not isinstance(value, list) or not set(map(type, value)) <= {int}:
        raise ValueError("a list of whole numbers is needed")
    if value and not 1 <= min(value) <= max(value) <= _MOST:
        place, wrong = next((p, v) for p, v in enumerate(value) if not 1 <= v <= _MOST)
        raise ValueError(f"entry {place} is {wrong}, outside 1 … {_MOST}")
    return np.array(value, dtype=np.int64)


_Counts = Annotated[np.ndarray, BeforeValidator(_counts)]


class _Columns(Strict, arbitrary_types_allowed=True):
    """The columns as they are written."""

    prefix: str = Field(pattern=f"^{_NAME}-$")
    digits: int = Field(ge=1, le=12, description="of a shard's number, zeros in front; numbers start at 0")
    samples: _Counts
    bytes: _Counts
    sha256: str = Field(pattern="^[0-9a-f]*$")


@dataclass(frozen=True)
class _Numbered(Sequence[str]):
    """Names that differ in their number alone."""

    prefix: str
    digits: int
    size: int

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        numbers = range(self.size)[place]
        if isinstance(numbers, range):
            return [self._name(number) for number in numbers]
        return self._name(numbers)

    def _name(self, number: int) -> str:
        return f"{self.prefix}{number:0{self.digits}d}.tar"


def _compact(paths: Sequence[str]) -> Sequence[str]:
    """Names as a prefix and a count, where they are no more than that."""
    if isinstance(paths, _Numbered):
        return paths
    match = _NUMBERED.fullmatch(paths[0]) if paths else None
    if match is None:
        return paths
    numbered = _Numbered(match[1], len(match[2]), len(paths))
    return numbered if all(map(str.__eq__, numbered, paths)) else paths


class ShardList(Sequence[ShardEntry]):
    """The shards of a set, in order.

    Args:
        paths: File names in the manifest's folder.
        samples_S: (S,) int64, at least 1 each.
        bytes_S: (S,) int64, at least 1 each.
        digests: The SHA-256 of each, 32 bytes after 32 bytes.
    """

    def __init__(
        self, paths: Sequence[str], samples_S: np.ndarray, bytes_S: np.ndarray, digests: bytes
    ) -> None:
        self._paths, self._digests = _compact(paths), digests
        self.samples_S, self.bytes_S = samples_S, bytes_S

    @classmethod
    def of(cls, entries: Iterable[ShardEntry]) -> ShardList:
        """From checked entries."""
        rows = [(e.path, e.samples, e.bytes, bytes.fromhex(e.sha256)) for e in entries]
        paths, samples, sizes, digests = zip(*rows, strict=True) if rows else ((), (), (), ())
        return cls(paths, np.array(samples, np.int64), np.array(sizes, np.int64), b"".join(digests))

    @classmethod
    def _from_columns(cls, columns: _Columns) -> ShardList:
        count = len(columns.samples)
        if len(columns.bytes) != count or len(columns.sha256) != 64 * count:
            raise ValueError(
                f"{count} shards have samples, {len(columns.bytes)} bytes, {len(columns.sha256) / 64:g} a sha256"
            )
        names = _Numbered(columns.prefix, columns.digits, count)
        return cls(names, columns.samples, columns.bytes, bytes.fromhex(columns.sha256))

    @property
    def in_columns(self) -> bool:
        """Whether a manifest holds it as columns."""
        return len(self) > LISTED and isinstance(self._paths, _Numbered)

    def path(self, place: int) -> str:
        """File name of a shard."""
        return self._paths[place]

    def sha256(self, place: int) -> str:
        """SHA-256 of a shard, in hexadecimal."""
        return self._digests[32 * place : 32 * place + 32].hex()

    def _entry(self, place: int) -> ShardEntry:
        # Checked already: when it was read, or as the entry it came from.
        return ShardEntry.model_construct(
            path=self.path(place),
            samples=int(self.samples_S[place]),
            bytes=int(self.bytes_S[place]),
            sha256=self.sha256(place),
        )

    def __len__(self) -> int:
        return len(self.samples_S)

    def __iter__(self) -> Iterator[ShardEntry]:
        return map(self._entry, range(len(self)))

    @overload
    def __getitem__(self, place: int) -> ShardEntry: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[ShardEntry, ...]: ...
    def __getitem__(self, place: int | slice) -> ShardEntry | tuple[ShardEntry, ...]:
        places = range(len(self))[place]
        return tuple(map(self._entry, places)) if isinstance(places, range) else self._entry(places)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ShardList):
            return NotImplemented
        return (
            self._digests == other._digests
            and np.array_equal(self.samples_S, other.samples_S)
            and np.array_equal(self.bytes_S, other.bytes_S)
            and (self._paths == other._paths or all(map(str.__eq__, self._paths, other._paths)))
        )

    def __hash__(self) -> int:
        return hash(self._digests)

    def __repr__(self) -> str:
        return f"ShardList of {len(self)} shards, {int(self.samples_S.sum())} samples"

    def written(self) -> list[dict[str, Any]] | dict[str, Any]:
        """Plain content for the manifest."""
        if not self.in_columns:
            return [entry.model_dump(mode="json") for entry in self]
        assert isinstance(self._paths, _Numbered)  # that is what in_columns means
        return {
            "prefix": self._paths.prefix,
            "digits": self._paths.digits,
            "samples": self.samples_S.tolist(),
            "bytes": self.bytes_S.tolist(),
            "sha256": self._digests.hex(),
        }

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A field of a record: made from itself, from entries, or from what ``written`` gives."""
        columns = TypeAdapter(_Columns)

        def read(value: Any, listed: core_schema.ValidatorFunctionWrapHandler) -> ShardList:
            if isinstance(value, ShardList):
                return value
            if isinstance(value, dict):
                return cls._from_columns(columns.validate_python(value))
            return cls.of(listed(value))

        return core_schema.no_info_wrap_validator_function(
            read,
            handler(tuple[ShardEntry, ...]),
            serialization=core_schema.plain_serializer_function_ser_schema(cls.written),
        )
