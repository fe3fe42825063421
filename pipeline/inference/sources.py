"""What a user names for prediction, told apart: images (files, folders, patterns, URLs, tars), videos and prepared sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pipeline.datasets.face import FaceImage, FaceRecord
from pipeline.datasets.folder import ImageFolder
from pipeline.datasets.image import EXTENSIONS
from pipeline.errors import DataError
from pipeline.inference.images import read_image
from pipeline.object_store import ask
from pipeline.shards.manifest import manifest_url
from pipeline.storage import exists, is_local, local_path

VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg"})


@dataclass(frozen=True)
class NamedImage:
    """An image by its path or URL. A ``FaceRecord``."""

    name: str
    source: str = "images"

    def load(self) -> FaceImage:
        """Read and decode; raises DataError naming it."""
        return FaceImage(read_image(self.name), None, b"")


@dataclass
class Sources:
    """Everything that is to be predicted.

    Attributes:
        images: Not yet read.
        videos: Paths.
        sets: Folders of prepared sets.
        remarks: What was passed over.
    """

    images: list[FaceRecord] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def find_sources(arguments: Sequence[str]) -> Sources:
    """What the arguments stand for, in order.

    A folder with a manifest is a prepared set; any other is searched for images, and stands for its tars where it holds nothing
    else. A tar's images are read in place. A pattern (``*``, ``?``, ``[…]``) stands for what it matches.

    Raises:
        DataError: Nothing there, or nothing that is an image, a video or a set.
    """
    found = Sources()
    for argument in arguments:
        for place in _matches(argument):
            _sort_in(place, found)
    if not (found.images or found.videos or found.sets):
        raise DataError("nothing to predict: name images, folders, videos or prepared sets")
    return found


def _matches(argument: str) -> list[str]:
    if (
        not any(sign in argument for sign in "*?[")
        or argument.startswith(("http://", "https://"))
        or exists(argument)
    ):
        return [argument]

    def matching(store: Any, pattern: str) -> list[str]:
        found = sorted(map(str, store.glob(pattern)))
        # Local paths come back absolute; users see what they typed where that is possible.
        return found if is_local(argument) else [str(store.unstrip_protocol(match)) for match in found]

    matches = ask(argument, matching)
    if not matches:
        raise DataError(f"{argument}: the pattern matches nothing; correct it")
    return matches


def _sort_in(place: str, found: Sources) -> None:
    suffix = PurePosixPath(place).suffix.lower()
    if place.endswith("manifest.json") or (suffix == "" and exists(manifest_url(place))):
        found.sets.append(place.removesuffix("manifest.json").rstrip("/") or ".")
    elif suffix in VIDEOS:
        if is_local(place) and not local_path(place).is_file():
            raise DataError(f"{place}: no such video; correct the path")
        found.videos.append(place)
    elif is_local(place) and (local_path(place).is_dir() or suffix == ".tar"):
        folder = ImageFolder(str(local_path(place)))
        found.images += folder.records()
        found.remarks += folder.remarks
    elif not is_local(place) or suffix in EXTENSIONS or local_path(place).is_file():
        found.images.append(NamedImage(place))
    else:
        raise DataError(f"{place}: no such file or folder; correct the path")
