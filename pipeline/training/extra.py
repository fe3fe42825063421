"""Labelled sets mixed into each step (``data.extra``): which may be, and the order of their samples.

Every set is a stream of its own, with its own order and position: a step takes the same number of faces from each, and which they
are depends on neither the other sets nor the number of workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipeline.errors import ConfigError
from pipeline.shards.attributes import check_attributes
from pipeline.shards.manifest import Manifest, load_manifest
from pipeline.shards.order import Order, order_for
from pipeline.training.batches import DeviceBatch
from pipeline.training.config.data import DataConfig
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.shrink import radius_at

_DOMAIN = 11  # of the seeds: no run's labelled or unlabelled order shares one


def open_extra(data: DataConfig, train: Manifest, validation: Manifest | None) -> tuple[Manifest, ...]:
    """The manifests of the extra sets.

    Raises:
        ManifestError: A set is missing.
        ConfigError: A set that is unlabelled, held out, of another markup or cropped in another way.
    """
    manifests = []
    for place, extra in enumerate(data.extra):
        field, manifest = f"data.extra.{place}.set = {extra.set}", load_manifest(extra.set)
        if manifest.role != "labelled":
            raise ConfigError(f"{field}: is an unlabelled set; only faces with landmarks can be mixed in")
        held_out = validation is not None and manifest.shards == validation.shards
        if manifest.split == "test" or held_out:
            raise ConfigError(f"{field}: is held out for measuring: never train on it")
        if (manifest.markup, manifest.markup_definition) != (train.markup, train.markup_definition):
            raise ConfigError(
                f"{field}: has markup '{manifest.markup}', or another version of it, and data.train '{train.markup}': the faces "
                "of a batch have the same landmarks; prepare the set in that markup"
            )
        if manifest.crop.side_factor != train.crop.side_factor:
            raise ConfigError(
                f"{field}: cropped with side_factor {manifest.crop.side_factor}, data.train with {train.crop.side_factor}: "
                "prepare them alike"
            )
        check_attributes(data.focal_attributes, extra.set, manifest)
        manifests.append(manifest)
    return tuple(manifests)


def extra_orders(data: DataConfig, manifests: Sequence[Manifest], seed: int) -> tuple[Order, ...]:
    """The order of each extra set's samples.

    Args:
        data: Streams and buffer.
        manifests: Of ``open_extra``.
        seed: Of the run.
    """
    return tuple(
        order_for(
            manifest.shards.samples_S.tolist(),
            streams=data.streams,
            seed=_seed(seed, place),
            buffer=data.shuffle_buffer,
        )
        for place, manifest in enumerate(manifests)
    )


def with_radii(
    parts: Sequence[DeviceBatch], config: ExperimentConfig, step: int, steps: int
) -> list[DeviceBatch]:
    """Tell a step's faces how exact their landmarks are; nothing, where all are.

    Args:
        parts: Of data.train, then of each extra set.
        config: Of the run.
        step: Optimizer step, 0-based.
        steps: Of the run.
    """
    shrinks = (None, *(extra.shrink for extra in config.data.extra))
    radii = [0.0 if s is None else radius_at(s, step, steps, config.input_size) for s in shrinks]
    if not any(radii):
        return list(parts)
    return [
        replace(part, radius_B=part.scale_B.new_full(part.scale_B.shape, radius))
        for part, radius in zip(parts, radii, strict=True)
    ]


def _seed(seed: int, place: int) -> int:
    return int(np.random.SeedSequence([seed, place, _DOMAIN]).generate_state(1, np.uint64)[0])
