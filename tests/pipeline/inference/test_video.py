"""Frames come back in order, with their times; what is no video, or a damaged one, is said."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.inference.video import count_frames, frames

av = pytest.importorskip("av")


@pytest.fixture
def video(tmp_path) -> str:
    """Twelve grey frames of 64 × 48 at 10 per second, brighter by 15 each."""
    path = str(tmp_path / "grey.mp4")
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            image = np.full((48, 64, 3), 30 + 15 * number, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_frames_in_order(video):
    seen = list(frames(video))
    assert count_frames(video) == len(seen) == 12
    np.testing.assert_allclose([seconds for seconds, _ in seen], np.arange(12) / 10, atol=1e-6)
    assert seen[0][1].shape == (48, 64, 3)
    assert seen[0][1].dtype == np.uint8
    np.testing.assert_allclose([image.mean() for _, image in seen], 30 + 15 * np.arange(12), atol=6)


def test_what_is_no_video_is_said(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing of the kind" * 100)
    for read in (count_frames, lambda path: list(frames(path))):
        with pytest.raises(DataError, match=r"a\.mp4: "):
            read(str(tmp_path / "a.mp4"))
