"""An exported file against the model it was made of, on faces: the largest difference of any landmark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.errors import ConfigError
from pipeline.faces.crop import crop_around, extract
from pipeline.inference.export.module import CropsToLandmarks
from pipeline.inference.export.target import Run
from pipeline.methods.model_file import ModelDescription
from pipeline.shards.manifest import CropPolicy, load_manifest
from pipeline.shards.sequential import sequential_batches

_BATCHES = (1, 2, 5)  # in turn: a batch that became a constant would be found out


@dataclass(frozen=True)
class Difference:
    """How far apart two ways to compute the same are.

    Attributes:
        points: Largest distance of any landmark, px of the crop.
        covariance: Largest difference of any entry, as a share of its covariance's trace; 0 without covariances.
        faces: Compared.
    """

    points: float
    covariance: float
    faces: int


def stored_crops(data: str, description: ModelDescription, faces: int) -> Tensor:
    """The first faces of a prepared set, (N, S, S, 3) uint8.

    Raises:
        ConfigError: It is cropped otherwise than the model's training faces.
    """
    policy, own = description.crop, load_manifest(data).crop
    if (policy.size, policy.side_factor) != (own.size, own.side_factor):
        raise ConfigError(
            f"{data} holds crops of {own.size} px with side_factor {own.side_factor}, the model takes {policy.size} px with "
            f"{policy.side_factor}: prepare the set alike"
        )
    batches = islice(sequential_batches(data, faces), 1)
    return next(iter(batches)).images_B3SS.permute(0, 2, 3, 1).contiguous()


def drawn_crops(policy: CropPolicy, faces: int) -> Tensor:
    """Faces that the project draws, cut out by their landmarks, (N, S, S, 3) uint8."""
    reader = SyntheticFaces(faces, seed=1)
    markup = reader.markup
    assert markup is not None  # they are labelled
    crops = []
    for record in reader.records():
        face = record.load()
        assert face.annotation is not None
        five_52 = markup.five_from(face.annotation.points_K2)
        crops.append(
            extract(face.image_HW3, crop_around(five_52, side_factor=policy.side_factor, size=policy.size))
        )
    return torch.from_numpy(np.stack(crops))


def _batches(crops_NSS3: Tensor) -> Iterator[Tensor]:
    start = turn = 0
    while start < len(crops_NSS3):
        count = _BATCHES[turn % len(_BATCHES)]
        yield crops_NSS3[start : start + count]
        start, turn = start + count, turn + 1


@torch.no_grad()
def compare(module: CropsToLandmarks, run: Run, crops_NSS3: Tensor) -> Difference:
    """Compare on crops, in batches of several sizes.

    Args:
        module: The model as it is.
        run: The exported file.
        crops_NSS3: uint8.

    Returns:
        Infinite differences where one of the two is not finite, or says something else altogether (shapes).
    """
    points = covariance = 0.0
    for crops in _batches(crops_NSS3):
        expected, got = module(crops), run(crops)
        if [each.shape for each in expected] != [each.shape for each in got]:
            return Difference(float("inf"), float("inf"), len(crops_NSS3))
        points = max(points, _largest((expected[0] - got[0]).norm(dim=-1)))
        if len(expected) > 1:
            trace = expected[1].diagonal(dim1=-2, dim2=-1).sum(-1).clamp(min=1e-12)
            covariance = max(covariance, _largest((expected[1] - got[1]).abs().amax((-2, -1)) / trace))
    return Difference(points, covariance, len(crops_NSS3))


def _largest(values: Tensor) -> float:
    # A maximum passes over NaN or not, as it happens.
    return float(values.max()) if bool(values.isfinite().all()) else float("inf")
