"""What prediction says of one image, a frame of a video or a stored face; and the images that could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import DataError
from pipeline.inference.predicted_face import PredictedFace
from pipeline.shards.prepare import Reject
from pipeline.shards.rejects import examples, rejects_text
from pipeline.storage import write_text
from pipeline.words import counted


@dataclass(frozen=True, eq=False)
class ImageResult:
    """The faces of an image.

    Attributes:
        name: Of the image, as the user would call it: its path or URL, below a folder that was given the path in it.
        width: px.
        height: px.
        faces: Largest first.
        image_HW3: Its pixels, uint8; None of a stored face, whose crop is all there is.
        seconds: Of a frame, from the video's start.
        tracks: Of a smoothed video, a number for each face, the same one as long as the face is followed.
    """

    name: str
    width: int
    height: int
    faces: Sequence[PredictedFace]
    image_HW3: np.ndarray | None = None
    seconds: float | None = None
    tracks: Sequence[int] | None = None


@dataclass
class Outcome:
    """What came of a run, as its last line tells it.

    Attributes:
        faces: Found.
        empty: Images without a face.
        rejects: Images that could not be read.
        rejects_url: Where they are listed.
    """

    faces: int = 0
    empty: int = 0
    rejects: int = 0
    rejects_url: str = ""

    def __str__(self) -> str:
        told = [counted(self.faces, "face")]
        if self.empty:
            told.append(f"{counted(self.empty, 'image')} without a face")
        if self.rejects:
            told.append(f"{counted(self.rejects, 'image')} not readable ({self.rejects_url})")
        return ", ".join(told)


@dataclass
class Rejects:
    """Images that gave no result: counted, listed in a file, and over a rate the end of the run.

    Attributes:
        url: The file, written by ``close``; there is none where nothing was rejected.
        total: Images that there are to predict.
        max_share: Highest tolerated share of them.
    """

    url: str
    total: int
    max_share: float
    found: list[Reject] = field(default_factory=list)

    def add(self, reject: Reject) -> None:
        """Count one.

        Raises:
            DataError: Too many; the file has been written.
        """
        self.found.append(reject)
        if len(self.found) > self.max_share * self.total:
            self.close()
            raise DataError(
                f"{len(self.found)} of {counted(self.total, 'image')} cannot be read, over --max-reject-share "
                f"{self.max_share:g}; all so far are listed in {self.url}. {examples(self.found)}"
            )

    def close(self) -> None:
        """Write the file."""
        if self.found:
            write_text(self.url, rejects_text(self.found))
