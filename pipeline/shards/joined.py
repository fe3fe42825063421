"""Prepared sets read as one: their shards in one sequence, a sample named by its ordinal in that sequence.

The order of samples knows nothing of sets (:mod:`pipeline.shards.order`): it sees one list of shards, and which ordinals take
part. So any number of corpora, and what a label budget leaves of a labelled set, are one stream with one position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.shards.manifest import Manifest, join, load_manifest, manifest_url, parent


@dataclass(frozen=True)
class JoinedSet:
    """One or more prepared sets.

    Attributes:
        names: Folder or manifest of each set, as given.
        manifests: Of each.
        num_landmarks: K of a sample; 0 where landmarks are not read, whether the sets hold any or not.
    """

    names: tuple[str, ...]
    manifests: tuple[Manifest, ...]
    num_landmarks: int

    @property
    def shard_samples(self) -> tuple[int, ...]:
        """Samples of each shard, set after set."""
        return tuple(count for manifest in self.manifests for count in manifest.shards.samples_S.tolist())

    def url(self, shard: int) -> str:
        """Where a shard is; by its place in the sequence."""
        for name, manifest in zip(self.names, self.manifests, strict=True):
            if shard < len(manifest.shards):
                return join(parent(manifest_url(name)), manifest.shards.path(shard))
            shard -= len(manifest.shards)
        raise IndexError(f"{self.title}: no shard {shard} more")

    @property
    def samples(self) -> int:
        """Samples of all sets."""
        return sum(manifest.samples for manifest in self.manifests)

    @property
    def bytes(self) -> int:
        """Size of all tars."""
        return sum(manifest.bytes for manifest in self.manifests)

    @property
    def size(self) -> int:
        """Side of the stored images, px."""
        return self.manifests[0].crop.size

    @property
    def title(self) -> str:
        """For messages."""
        return " + ".join(self.names)


def open_set(name: str) -> JoinedSet:
    """A single set with its landmarks, if it has any.

    Raises:
        ManifestError: The manifest cannot be used.
    """
    manifest = load_manifest(name)
    return JoinedSet((name,), (manifest,), manifest.num_landmarks)


def join_unlabelled(sets: Sequence[tuple[str, Manifest]]) -> JoinedSet:
    """Sets as one corpus of unlabelled faces: what landmarks they hold is not read.

    Args:
        sets: Folder or manifest of each, and the manifest; at least one.

    Raises:
        ConfigError: Their crops differ, so that their images do not go into one batch.
    """
    names, manifests = zip(*sets, strict=True)
    first = manifests[0].crop
    for name, manifest in sets[1:]:
        crop = manifest.crop
        if (crop.size, crop.side_factor) != (first.size, first.side_factor):
            raise ConfigError(
                f"{name} holds images of {crop.size} px cropped with side_factor {crop.side_factor}, {names[0]} of {first.size} "
                f"px with {first.side_factor}: sets that are used together are prepared alike"
            )
    return JoinedSet(tuple(names), tuple(manifests), 0)
