"""The object store that Ray Train keeps its own notes in: pyarrow's view of the project's client, asked again where it fails.

Ray writes a mark and a list of a run's checkpoints there, and removes the checkpoints that are not kept; what is in them goes
by ``pipeline.training.transfer``.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pyarrow
from pyarrow.fs import FSSpecHandler, PyFileSystem

from pipeline.object_store import repeated, store_of
from pipeline.storage import is_local

_T = TypeVar("_T")


def place_of(storage: str) -> dict[str, Any]:
    """What Ray's ``RunConfig`` is told of where runs live.

    Args:
        storage: Absolute path or URL.

    Raises:
        StorageError: There is no client for the URL.
    """
    if is_local(storage):
        return {"storage_path": storage}
    store, path = store_of(storage)
    return {"storage_path": path, "storage_filesystem": PyFileSystem(StoreHandler(store))}


class StoreHandler(FSSpecHandler):
    """An fsspec client for pyarrow; what Ray calls is repeated where the store fails, and sees what others have written."""

    def _ask(self, path: str, call: Callable[[], _T]) -> _T:
        self.fs.invalidate_cache()
        return repeated(self.fs.unstrip_protocol(path), call)

    def get_file_info(self, paths: list[str]) -> Any:
        """What lies at each path."""
        found = super().get_file_info
        return [self._ask(path, partial(found, [path]))[0] for path in paths]

    def get_file_info_selector(self, selector: Any) -> Any:
        """What lies in a folder."""
        return self._ask(selector.base_dir, partial(super().get_file_info_selector, selector))

    def create_dir(self, path: str, recursive: bool) -> None:
        """Nothing: a store has no empty folders, and its client would ask for the bucket, which not every key may."""

    def delete_dir(self, path: str) -> None:
        """Remove everything below a path."""
        self._ask(path, partial(super().delete_dir, path))

    def delete_file(self, path: str) -> None:
        """Remove an object."""
        self._ask(path, partial(super().delete_file, path))

    def open_input_stream(self, path: str) -> Any:
        """An object, read whole."""
        return pyarrow.BufferReader(self._ask(path, partial(self.fs.cat_file, path)))

    def open_input_file(self, path: str) -> Any:
        """An object, read whole."""
        return self.open_input_stream(path)

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        """An object, which appears whole when the stream is closed."""

        def send(content: bytes) -> None:
            self._ask(path, partial(self.fs.pipe_file, path, content))

        return pyarrow.PythonFile(_Held(send), mode="w")


class _Held(io.BytesIO):
    """What is written to an object before it is sent.

    Args:
        send: Takes all of it, once.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        super().__init__()
        self._send = send

    def close(self) -> None:
        """Send it."""
        if not self.closed:
            content = self.getvalue()
            super().close()
            self._send(content)
