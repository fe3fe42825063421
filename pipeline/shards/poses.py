"""Poses and mean shapes of a prepared labelled set."""

from __future__ import annotations

import logging

import numpy as np

from pipeline.errors import DataError, ShardError
from pipeline.faces.pose import pose_coordinates
from pipeline.shards.manifest import Manifest, SampleMeta, join
from pipeline.shards.read import iterate_shard

_DIGITS = 4


def read_shapes(manifest: Manifest, folder: str) -> np.ndarray:
    """Landmarks of every face of a labelled set, in the manifest's order.

    Args:
        manifest: Of the set.
        folder: Where its tars are.

    Returns:
        (N, K, 2) float64, px of the stored crop; NaN where unknown, and for faces whose tar cannot be read up to them (a warning
        names it: training counts such faces itself).
    """
    return read_points(manifest, folder)[0]


def read_points(manifest: Manifest, folder: str) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks as :func:`read_shapes`, and the five points of the detector, (N, 5, 2), NaN where none found the face."""
    shapes_NK2 = np.full((manifest.samples, manifest.num_landmarks, 2), np.nan)
    five_N52 = np.full((manifest.samples, 5, 2), np.nan)
    start = 0
    for shard in manifest.shards:
        try:
            for place, raw in enumerate(iterate_shard(join(folder, shard.path))):
                meta = SampleMeta.model_validate_json(raw.json)
                points = meta.crop_points()
                if place < shard.samples and points.shape == shapes_NK2.shape[1:]:
                    shapes_NK2[start + place] = points
                    five_N52[start + place] = meta.crop_five()
        except (ShardError, ValueError) as error:  # pydantic's errors are ValueErrors
            logging.getLogger(__name__).warning("shapes of %s: %s", shard.path, error)
        start += shard.samples
    return shapes_NK2, five_N52


def poses_of(shapes_NK2: np.ndarray) -> tuple[float | None, ...] | None:
    """What a manifest keeps: a coordinate per face, rounded; None for a set too small, or too uniform, to have poses."""
    try:
        coordinates_N = pose_coordinates(shapes_NK2)
    except DataError:
        return None
    return tuple(None if np.isnan(c) else round(float(c), _DIGITS) for c in coordinates_N)


def coordinates(manifest: Manifest, folder: str) -> np.ndarray:
    """(N,) pose of each face, NaN where unknown: the manifest's, or, of a set prepared before there were any, its shapes'.

    Raises:
        DataError: A set too small, or too uniform, to have poses.
    """
    if manifest.pose is not None:
        return np.array([np.nan if c is None else c for c in manifest.pose])
    # Rounded like those of a manifest: every worker, on whatever processor, must come to the same bins.
    return np.round(pose_coordinates(read_shapes(manifest, folder)), _DIGITS)
