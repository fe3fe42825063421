"""300-VW (Shen et al., The First Facial Landmark Tracking in-the-Wild Challenge, ICCVW 2015): videos with 300-W's 68 landmarks.

A folder per video with ``vid.avi`` and ``annot/000001.pts``, one per frame, 1-based as 300-W's. Frames are read from images
that were extracted once, ``frames/000001.jpg`` or ``.png``: decoding video needs a library this project does not depend on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datasets._checks import folder
from pipeline.datasets._gather import Gathering
from pipeline.datasets._pairs import pair
from pipeline.datasets._pts import read_pts
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import stored_file
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup

_NUMBERS = {
    "S1": (
        114, 124, 125, 126, 150, 158, 401, 402, 505, 506, 507, 508, 509, 510, 511, 514, 515, 518, 519,
        520, 521, 522, 524, 525, 537, 538, 540, 541, 546, 547, 548,
    ),
    "S2": (
        203, 208, 211, 212, 213, 214, 218, 224, 403, 404, 405, 406, 407, 408, 409, 412, 550, 551, 553,
    ),
    "S3": (
        410, 411, 516, 517, 526, 528, 529, 530, 531, 533, 557, 558, 559, 562,
    ),
}  # fmt: skip
CATEGORIES = {name: tuple(map(str, videos)) for name, videos in _NUMBERS.items()}
"""The test scenarios: S1 well lit, S2 unconstrained light, S3 anything. All other videos are for training."""
_TEST = frozenset(video for videos in CATEGORIES.values() for video in videos)
SUBSETS = ("train", "test", *CATEGORIES)


def _extract(video: Path, frames: str) -> str:
    return (
        f"extract its frames once: mkdir {video / frames} && "
        f"ffmpeg -i {video / 'vid.avi'} -start_number 1 -qscale:v 2 {video / frames}/%06d.jpg"
    )


class W300VW:
    """Reader of 300-VW. A face's name is ``VIDEO/FRAME``, e.g. ``114/000001.jpg``; both are attributes as well.

    Args:
        root: The folder that holds a folder per video.
        subset: ``train``, ``test`` or a test scenario, ``S1``, ``S2``, ``S3``. None for the ``videos`` alone.
        videos: Videos instead of a subset, e.g. ``["114", "203"]``.
        every: Keep each n-th frame, from the first: neighbours are almost copies.
        frames: Subfolder of a video that holds its frames.
        source: Name written beside every sample.

    Raises:
        DataError: The root or a video does not exist, or what to read is not said.
    """

    def __init__(
        self,
        root: str,
        subset: str | None = None,
        videos: list[str] | None = None,
        every: int = 1,
        frames: str = "frames",
        source: str = "300vw",
    ) -> None:
        self.root = folder(root, "root", "a folder per video")
        self.source, self.every, self.frames = source, every, frames
        if every < 1:
            raise DataError(f"field 'every' is {every}: 1 or more")
        if (subset is None) == (not videos):
            raise DataError(f"give either 'subset' ({', '.join(SUBSETS)}) or 'videos', a list of folders")
        if ".." in Path(frames).parts or Path(frames).is_absolute():
            raise DataError(f"field 'frames' is '{frames}': a subfolder of each video's folder is expected")
        self.videos = list(videos) if videos else self._videos_of(str(subset))
        for video in self.videos:
            if Path(video).name != video or not (self.root / video).is_dir():
                raise DataError(f"{self.root / video}: no such video; unpack 300VW_Dataset into 'root'")

    def _videos_of(self, subset: str) -> list[str]:
        if subset in CATEGORIES:
            return list(CATEGORIES[subset])
        if subset == "test":
            return sorted(_TEST)
        if subset != "train":
            raise DataError(f"field 'subset' is '{subset}': give one of {', '.join(SUBSETS)}")
        here = sorted(p.name for p in self.root.iterdir() if (p / "annot").is_dir() and p.name not in _TEST)
        if not here:
            raise DataError(f"{self.root}: no training videos in it; unpack 300VW_Dataset into 'root'")
        return here

    @property
    def markup(self) -> Markup:
        """The 68 landmarks of 300-W."""
        return load_markup("ibug68")

    def records(self) -> list[FaceRecord]:
        """All annotated frames, sorted by name. A malformed annotation, or one without frame, is an ``Unusable``.

        A frame without annotation is none of the set.

        Raises:
            DataError: Frames were not extracted, or are numbered from 0.
        """
        faces = Gathering(self.source)
        for video in self.videos:
            self._frames(video, faces)
        return faces.ordered(self.root, "annotated frames")

    def _frames(self, video: str, faces: Gathering) -> None:
        base = self.root / video
        if not (base / "annot").is_dir():
            raise DataError(f"{base / 'annot'}: no annotations; unpack 300VW_Dataset into 'root' again")
        if not (base / self.frames).is_dir():
            raise DataError(f"{base / self.frames}: no such folder; {_extract(base, self.frames)}")
        pairs = pair(
            base / "annot",
            base / self.frames,
            video,
            faces,
            spare_images=True,
            remedy=_extract(base, self.frames),
        )
        for zero in sorted((base / self.frames).glob("000000.*")):
            raise DataError(
                f"{zero}: frames are numbered from 0, annotations from 1; {_extract(base, self.frames)}"
            )
        for image, pts in pairs[:: self.every]:
            name = f"{video}/{image.name}"
            with faces.entry(name):
                annotation = Annotation(
                    read_pts(pts, 68),
                    np.ones(68, dtype=bool),
                    attributes={"video": video, "frame": image.stem},
                )
                faces.add(stored_file(image, source=self.source, name=name, annotation=annotation))


READER = W300VW
