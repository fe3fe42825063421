"""Balancing over pose, and the shape that a regressor's displacements start from.

Source: Rayhan et al., "Not all points are created equal - an anisotropic cost function for facial landmark location", BMVC 2020,
section 3.2: K = 9 bins along the first principal component of the aligned shapes; bins are cut to the smallest; displacements are
from the mean of the bins' means. The set stays as it is prepared: the order of samples chooses
(:class:`pipeline.shards.order.Balance`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from pipeline.errors import ConfigError, DataError
from pipeline.faces.pose import Origin, bins_of, mean_shape
from pipeline.shards.manifest import Manifest, manifest_url, parent
from pipeline.shards.order import Balance
from pipeline.shards.poses import coordinates, read_shapes
from pipeline.shards.selection import nested_subset
from pipeline.strict import Strict

PAPER_BINS = 9


class BalanceConfig(Strict):
    """How often faces of each pose are seen."""

    kind: Literal["none", "undersample", "replicate"] = Field(
        "none",
        description="undersample: each epoch takes as many faces of every pose bin as the smallest has, others each time (Rayhan "
        "et al. 2020); replicate: smaller bins are repeated up to the largest (Feng et al. 2018)",
    )
    bins: int = Field(PAPER_BINS, ge=2, description="of equal width along the pose; empty ones do not count")
    per_bin: int | None = Field(
        None,
        ge=1,
        description="faces of each bin in an epoch, instead of the smallest's or the largest's number",
    )


def balance_of(
    config: BalanceConfig, url: str, manifest: Manifest, count: int | None, seed: int
) -> Balance | None:
    """The groups of the samples that an order takes, ``count`` of the set by ``seed``; None without balancing.

    Raises:
        ConfigError: A set whose faces have no poses to balance.
    """
    if config.kind == "none":
        return None
    bin_N = _bins(config.bins, url, manifest, count, seed)
    return Balance(bin_N, config.kind, config.per_bin)


def origin_shape(
    origin: Origin, bins: int, url: str, manifest: Manifest, count: int | None, seed: int
) -> np.ndarray:
    """(K, 2) mean shape of the faces that a run trains on, and of no others, px of the stored crop.

    Raises:
        ConfigError: No face with poses; a landmark that no face has.
    """
    chosen = nested_subset(manifest.samples, count, seed)
    shapes_NK2 = read_shapes(manifest, parent(manifest_url(url)))[chosen]
    bin_N = _bins(bins, url, manifest, count, seed) if origin == "mean_of_bin_means" else None
    known_N = np.isfinite(shapes_NK2).all(-1).any(-1)
    try:
        return mean_shape(shapes_NK2[known_N], None if bin_N is None else bin_N[known_N])
    except DataError as error:
        raise ConfigError(f"{url}: method.origin = '{origin}': {error}; set method.origin=centre") from error


def _bins(bins: int, url: str, manifest: Manifest, count: int | None, seed: int) -> np.ndarray:
    chosen = nested_subset(manifest.samples, count, seed)
    try:
        return bins_of(coordinates(manifest, parent(manifest_url(url)))[chosen], bins)
    except DataError as error:
        raise ConfigError(f"{url}: {error}; set data.balance.kind=none and method.origin=mean") from error
