"""Frames of a video, decoded by PyAV (the extra ``video``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.storage import is_local, local_path


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ConfigError("videos need PyAV: pip install 'landmark-pipeline[video]'") from error
    return av


def count_frames(path: str) -> int:
    """Frames of a video as its header gives them; 0 where it does not.

    Raises:
        ConfigError: PyAV is not installed.
        DataError: No video.
    """
    av = _av()
    try:
        with av.open(_address(path)) as container:
            return int(container.streams.video[0].frames)
    except (av.error.FFmpegError, IndexError) as error:
        raise DataError(f"{path}: not a video: {error}") from error


def frames(path: str) -> Iterator[tuple[float, np.ndarray]]:
    """The frames of a video.

    Args:
        path: Path or URL.

    Yields:
        Seconds from its start, and the upright frame (H, W, 3) uint8 RGB.

    Raises:
        DataError: No video, or one that is damaged, after the frames before the damage.
    """
    av, number = _av(), 0
    try:
        with av.open(_address(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or 25)
            for frame in container.decode(stream):
                # Telephones store frames lying down and say by how much they are turned.
                turns = round(getattr(frame, "rotation", 0) / 90) % 4
                image = np.rot90(frame.to_ndarray(format="rgb24"), turns)
                yield frame.time if frame.time is not None else number / rate, np.ascontiguousarray(image)
                number += 1
    except (av.error.FFmpegError, IndexError) as error:
        raise DataError(f"{path}: frame {number} cannot be decoded: {error}") from error


def _address(path: str) -> str:
    return str(local_path(path)) if is_local(path) else path
