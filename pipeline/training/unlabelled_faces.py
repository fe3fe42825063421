"""The unlabelled faces of a run: corpora, and what the label budget leaves of the labelled set."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import ConfigError, ManifestError
from pipeline.shards.joined import JoinedSet, join_unlabelled
from pipeline.shards.manifest import Manifest, load_manifest
from pipeline.shards.order import Order
from pipeline.shards.selection import Drawn, Everything, Joined, Selection, draw
from pipeline.training.config.data import DataConfig


@dataclass(frozen=True, eq=False)
class UnlabelledFaces:
    """Sets read as one, and which of their samples take part.

    Attributes:
        sets: Corpora as listed, then the labelled set, if its remainder is used.
        chosen: Their ordinals in ``sets``.
    """

    sets: JoinedSet
    chosen: Selection

    def order(self, data: DataConfig, seed: int) -> Order:
        """Their order; see :mod:`pipeline.shards.order`."""
        selection = None if len(self.chosen) == self.sets.samples else self.chosen
        return Order(self.sets.shard_samples, data.streams, seed, data.shuffle_buffer, selection)


def open_unlabelled(data: DataConfig, train: Manifest) -> UnlabelledFaces:
    """The faces that ``data.unlabelled`` names; ``data.unlabelled_count`` of them, nested.

    A face that ``data.labelled_count`` leaves out and one of a corpus are alike: neither's landmarks are read.

    Args:
        data: With ``unlabelled``.
        train: Manifest of ``data.train``.

    Raises:
        ManifestError: A corpus is missing, or is a labelled set.
        ConfigError: A test set, more faces than there are, or sets that do not go together.
    """
    assert data.unlabelled is not None  # the caller checked
    sets = [(path, load_manifest(path)) for path in data.unlabelled.corpora]
    for path, manifest in sets:
        if manifest.role != "unlabelled":
            raise ManifestError(
                f"data.unlabelled = {path}: is a {manifest.role} set, a unlabelled one is needed"
            )
        if manifest.split == "test":
            raise ConfigError(
                f"data.unlabelled is the test set '{manifest.name}': never train or select on a test split"
            )
        if manifest.crop.side_factor != train.crop.side_factor:
            raise ConfigError(
                f"data.unlabelled was cropped with side_factor {manifest.crop.side_factor}, data.train with "
                f"{train.crop.side_factor}: prepare them alike"
            )
    parts: list[Selection] = [Everything(manifest.samples) for _, manifest in sets]
    if data.unlabelled.remainder:
        assert data.labelled_count is not None  # the config asks for it
        sets.append((data.train, train))
        parts.append(Drawn(Everything(train.samples), data.labelled_count, data.subset_seed, others=True))
    allowed = Joined(parts)
    if not len(allowed):
        raise ConfigError(
            f"data.unlabelled.remainder: data.labelled_count = {data.labelled_count} takes all {train.samples} faces there are"
        )
    count = data.unlabelled_count
    if count is not None and count > len(allowed):
        raise ConfigError(f"data.unlabelled_count = {count}: there are {len(allowed)} unlabelled faces")
    return UnlabelledFaces(join_unlabelled(sets), draw(allowed, count, data.subset_seed))
