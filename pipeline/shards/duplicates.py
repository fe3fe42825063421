"""Keeping images of prepared sets (a test set) out of another set (unlabelled images)."""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from pipeline.errors import ShardError
from pipeline.faces.near_duplicates import NearDuplicateIndex, thumbnails
from pipeline.shards.manifest import join, load_manifest, manifest_url, parent
from pipeline.shards.read import RawSample, iterate_shard


def decode_crop(sample: RawSample, url: str) -> np.ndarray:
    """The stored (size, size, 3) uint8 image.

    Raises:
        ShardError: It is damaged; the message names tar and member.
    """
    try:
        with Image.open(io.BytesIO(sample.jpg)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ShardError(
            f"{url}: {sample.key}.jpg cannot be decoded ({error}); prepare the set again"
        ) from error


def comparison_settings() -> dict[str, Any]:
    """What decides whether two images are copies; part of the identity of every set that was compared."""
    parameters = inspect.signature(NearDuplicateIndex).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


class SetDuplicates:
    """Knows the faces of prepared sets. Picklable.

    Args:
        references: (key, (S, S, 3) uint8 crop) of every face.
    """

    def __init__(self, references: Iterable[tuple[str, np.ndarray]]) -> None:
        keys, crops = zip(*references, strict=True)
        self._index = NearDuplicateIndex(thumbnails(crops), keys)

    def matches(self, crops: Sequence[np.ndarray]) -> list[str | None]:
        """For each (S, S, 3) uint8 crop the key of the face it duplicates, or None."""
        return [match.reference if match else None for match in self._index.query(thumbnails(crops))]


def index_of_sets(folders: Sequence[str]) -> SetDuplicates:
    """Read the faces of prepared sets.

    Args:
        folders: Folders of prepared sets, or their manifests.

    Raises:
        ManifestError: A set is not there.
        ShardError: A shard is damaged.
    """
    urls = [
        join(parent(manifest_url(folder)), shard.path)
        for folder in folders
        for shard in load_manifest(folder).shards
    ]
    return SetDuplicates((s.key, decode_crop(s, url)) for url in urls for s in iterate_shard(url))
