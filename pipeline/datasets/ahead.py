"""Images of an object store, fetched before they are needed: a store takes tens of milliseconds for one, or for sixteen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.datasets.face import FaceRecord
from pipeline.datasets.image import StoredImage
from pipeline.errors import LandmarkError

_AT_ONCE = 16


def fetched_ahead(records: Sequence[FaceRecord]) -> Iterator[FaceRecord]:
    """The records in order; those of an object store bring their bytes along, so that loading one waits for nothing.

    One that cannot be fetched comes as it was: loading it says why. So many encoded images are held at once, at most, as are
    fetched at once: 16.
    """
    if not any(isinstance(record, StoredImage) and record.is_remote for record in records):
        yield from records
        return
    coming: deque[Future[FaceRecord]] = deque()
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="images-ahead") as readers:
        for record in records:
            coming.append(readers.submit(_fetched, record))
            if len(coming) == _AT_ONCE:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _fetched(record: FaceRecord) -> FaceRecord:
    if not isinstance(record, StoredImage) or not record.is_remote:
        return record
    try:
        return record.fetched()
    except (LandmarkError, OSError):
        return record
