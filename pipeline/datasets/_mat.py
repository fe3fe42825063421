"""MATLAB files: version 5 through SciPy, version 7.3 (HDF5) through h5py, which is needed for COFW's images only.

Neither executes what it reads. MATLAB stores columns first: an array read from HDF5 has its axes reversed.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets.face import Annotation, FaceImage
from pipeline.errors import DataError


def read_mat(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of a version-5 .mat file, by name.

    Raises:
        DataError: No .mat file of that version, or a variable is missing.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=list(names))
    except NotImplementedError as error:  # SciPy's word for version 7.3
        raise DataError(f"{path}: MATLAB 7.3; save it with -v7 in MATLAB, or download it again") from error
    except Exception as error:
        # SciPy's parser raises whatever damaged bytes lead it to, IndexError and KeyError among it.
        raise DataError(f"{path}: no MATLAB file ({error}); download it again") from error
    return {name: _variable(content, name, path) for name in names}


def _variable(content: Any, name: str, path: Path) -> Any:
    if name not in content:
        raise DataError(f"{path}: no variable '{name}'; is this the right file?")
    return content[name]


def open_mat73(path: str) -> Any:
    """Open a version-7.3 .mat file; a context manager that maps names to arrays.

    Raises:
        DataError: h5py is not installed, or this is no HDF5.
    """
    try:
        h5py: Any = importlib.import_module("h5py")
    except ImportError as error:
        raise DataError(
            f"{path}: MATLAB 7.3 (HDF5) is read by h5py, which is not installed: pip install h5py"
        ) from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: no MATLAB 7.3 file ({error}); download it again") from error


def read_mat73(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Numeric arrays of a version-7.3 file, by name, axes as HDF5 has them: reversed.

    Raises:
        DataError: As ``open_mat73``, or a variable is missing.
    """
    with open_mat73(str(path)) as content, _whole(str(path)):
        return {name: np.asarray(_variable(content, name, path)[()]) for name in names}


@contextmanager
def _whole(where: str) -> Iterator[None]:
    """What HDF5's library raises on damaged content is the file's fault."""
    try:
        yield
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        raise DataError(f"{where}: damaged ({error}); download it again") from error


def first_variable(path: Path, names: Sequence[str]) -> str:
    """The first of the names that a version-7.3 file holds.

    Raises:
        DataError: As ``open_mat73``, or it holds none.
    """
    with open_mat73(str(path)) as content:
        for name in names:
            if name in content:
                return name
    raise DataError(f"{path}: none of the variables {', '.join(names)}; is this the right file?")


def to_rgb(stored: np.ndarray, where: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB from (3, W, H) colour or (W, H) grey, as HDF5 holds MATLAB's images.

    Raises:
        DataError: Neither.
    """
    if (
        stored.dtype != np.uint8
        or stored.ndim not in {2, 3}
        or (stored.ndim == 3 and len(stored) not in {1, 3})
    ):
        raise DataError(
            f"{where}: shape {stored.shape}, {stored.dtype}; expected an 8-bit image; download it again"
        )
    image = stored.T if stored.ndim == 3 else stored.T[..., None]
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


@dataclass(frozen=True)
class MatImage:
    """An image in a cell array of a version-7.3 .mat file. A ``FaceRecord``.

    Attributes:
        source: Name of the data set.
        name: Image's name within it.
        path: The .mat file.
        variable: The cell array.
        index: Its element, from 0.
        annotation: None for an unlabelled image.
    """

    source: str
    name: str
    path: str
    variable: str
    index: int
    annotation: Annotation | None

    def load(self) -> FaceImage:
        """Read the pixels. Raises DataError naming file and element."""
        where = f"{self.path}: {self.variable}{{{self.index + 1}}}"
        with open_mat73(self.path) as content, _whole(where):
            references = np.asarray(_variable(content, self.variable, Path(self.path))[()]).reshape(-1)
            if self.index >= len(references):
                raise DataError(f"{where}: the file holds {len(references)} images; is this the right file?")
            stored = np.asarray(content[references[self.index]][()])
        return FaceImage(to_rgb(stored, where), self.annotation, stored.tobytes())

    def fingerprint(self) -> str:
        """Changes with the annotation, and the file's size; the pixels are not read."""
        size = Path(self.path).stat().st_size
        digest = hashlib.sha256(f"{self.source}\0{self.name}\0{self.variable}\0{self.index}\0{size}".encode())
        if self.annotation is not None:
            digest.update(np.ascontiguousarray(self.annotation.points_K2, dtype="<f8").tobytes())
            digest.update(np.ascontiguousarray(self.annotation.visible_K, dtype=bool).tobytes())
        return digest.hexdigest()
