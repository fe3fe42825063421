"""What a writer of predictions is: given results one at a time, it leaves a file, or a folder of files, when it is done."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import PurePosixPath
from types import TracebackType
from typing import ClassVar, Self, TextIO

import numpy as np

from pipeline.inference.result import ImageResult
from pipeline.markup import Markup
from pipeline.storage import atomic_writer

DECIMALS = 3
"""Of pixels and confidences in text."""


class Writer(ABC):
    """Used as a context; what it writes is there, whole, when the block ends without an error.

    Args:
        out: The file, or the folder; path or URL.
        markup: Of the landmarks.
    """

    folder: ClassVar[bool] = False
    """Whether ``out`` is a folder."""

    def __init__(self, out: str, markup: Markup) -> None:
        self.out, self.markup = out, markup

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def write(self, result: ImageResult) -> None:
        """Take one image's faces."""


class FileWriter(Writer):
    """A writer of one text file, line after line."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        binary = self._stack.enter_context(atomic_writer(self.out))
        self.file: TextIO = io.TextIOWrapper(binary, encoding="utf-8", newline="\n", write_through=True)
        # The text's wrapper must not close what it wraps before that is made durable.
        self._stack.callback(self.file.detach)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def rounded(values: np.ndarray) -> list:
    """An array as JSON values."""
    return list(np.round(np.asarray(values, dtype=np.float64), DECIMALS).tolist())


def file_stem(name: str, place: int) -> str:
    """Where a face's own file goes in a folder, without its extension: the image's name, and ``_1``, ``_2`` for further faces.

    Nothing leaves the folder, whatever the image is called: roots, drives, schemes and ``..`` are left out of the name.
    """
    path = PurePosixPath(name.split("://", 1)[-1].replace("\\", "/"))
    parts = [part for part in path.parts if part not in {"/", "..", "."}]
    # A frame is called by its number after the video's whole name.
    stem = "/".join(parts) if "#" in parts[-1] else "/".join([*parts[:-1], path.stem])
    return stem + (f"_{place}" if place else "")
