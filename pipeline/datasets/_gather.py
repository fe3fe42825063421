"""The faces of a data set as its reader comes upon them: what is wrong with one of them leaves out that one, not the set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.datasets._checks import require_faces
from pipeline.datasets.face import FaceRecord, Reason, Unusable, UnusableError
from pipeline.datasets.image import printable, uniquely_named
from pipeline.errors import DataError


class Gathering:
    """Collects a reader's records.

    Args:
        source: Name of the data set.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._records: list[FaceRecord] = []

    def add(self, record: FaceRecord) -> None:
        """A face that can be read."""
        self._records.append(record)

    @contextmanager
    def entry(self, name: str) -> Iterator[None]:
        """Work on one face; a DataError raised within leaves it out under this name."""
        try:
            yield
        except DataError as error:
            reason: Reason = error.reason if isinstance(error, UnusableError) else "bad_annotation"
            self._records.append(Unusable(self._source, printable(name), reason, printable(error)))

    def leave_out(self, name: str, problem: str, reason: Reason = "bad_annotation") -> None:
        """An entry that gives no face."""
        self._records.append(Unusable(self._source, printable(name), reason, printable(problem)))

    def listed(self) -> Sequence[FaceRecord]:
        """All records as they came."""
        return tuple(self._records)

    def ordered(self, path: Path | str, what: str) -> list[FaceRecord]:
        """All records by name.

        Args:
            path: Where they are from, for messages.
            what: What they are, in the plural.

        Raises:
            DataError: There is none.
        """
        require_faces(len(self._records), path, what)
        return uniquely_named(self._records)
