"""A face's attributes as training can use them: what a data set says beside the landmarks, where it is 0 or 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import ConfigError, ShardError
from pipeline.shards.manifest import Manifest, SampleMeta, join, manifest_url, parent
from pipeline.shards.read import iterate_shard


def labels_of(attributes: Mapping[str, Any], names: Sequence[str]) -> list[bool]:
    """Whether a face has each attribute.

    Args:
        attributes: Of the sample, as its data set has them.
        names: Of the attributes asked for.

    Raises:
        ValueError: An attribute is missing, or neither 0 nor 1.
    """
    for name in names:
        if name not in attributes:
            raise ValueError(f"no attribute '{name}' (it has: {', '.join(sorted(attributes)) or 'none'})")
        if attributes[name] not in (0, 1):
            raise ValueError(f"attribute '{name}' is {attributes[name]!r}, expected 0 or 1")
    return [bool(attributes[name]) for name in names]


def check_attributes(names: Sequence[str], url: str, manifest: Manifest) -> None:
    """Refuse attributes that the set does not have, by its first face.

    Args:
        names: ``data.focal_attributes``.
        url: Of the set.
        manifest: Of it.

    Raises:
        ConfigError: Naming the attribute, and those there are.
    """
    if not names:
        return
    folder = parent(manifest_url(url))
    for shard in manifest.shards:
        try:
            for raw in iterate_shard(join(folder, shard.path)):
                labels_of(SampleMeta.model_validate_json(raw.json).attributes, names)
                return
        except ShardError:
            continue  # a damaged tar is training's to count; the next one tells as much
        except ValueError as error:
            raise ConfigError(f"data.focal_attributes: {url}, face '{raw.key}': {error}") from error
