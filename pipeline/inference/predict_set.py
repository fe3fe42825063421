"""A model's answers on a prepared labelled set, in the original images' pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from pipeline.errors import TrainingError
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.robustness import box_noise, perturb, recropped
from pipeline.faces.crop import Crop, moved
from pipeline.heatmaps.uncertainty import to_image
from pipeline.inference.conditions import Conditions
from pipeline.inference.flip import averaged_over_flip
from pipeline.inference.motion import nose_directions
from pipeline.inference.truth import truth_of
from pipeline.methods.model_file import LandmarkModel
from pipeline.shards.device import network_input
from pipeline.shards.loader import Quarantine, collate
from pipeline.shards.manifest import Manifest, SampleMeta, join
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.stream import StreamSample

BATCH = 32


@torch.no_grad()
def predict_shard(
    model: LandmarkModel,
    manifest: Manifest,
    folder: str,
    shard: int,
    device: torch.device | str = "cpu",
    thumbnail: int | None = 80,
    conditions: Conditions | None = None,
) -> Predictions:
    """Predict one shard of a labelled set.

    Args:
        model: In evaluation mode, on ``device``.
        manifest: Of the set.
        folder: Where its tars are.
        shard: Which.
        device: Where to compute.
        thumbnail: Side of the small crops kept for reports, px; None keeps none.
        conditions: How to ask; None as the set is, by a model of its markup.

    Returns:
        Predictions and covariances in original px; scatter in px of the network input.

    Raises:
        ShardError: The tar cannot be read. A test set is not thinned out silently.
        TrainingError: A sample cannot be decoded.
    """
    asked = _Asked(model, manifest, conditions or Conditions(), torch.device(device), thumbnail)
    raws = list(iterate_shard(join(folder, manifest.shards[shard].path)))
    metas = [_meta(raw) for raw in raws]
    first = sum(entry.samples for entry in manifest.shards[:shard])
    poses = (manifest.pose or (None,) * manifest.samples)[first : first + len(raws)]
    direction_N = nose_directions(metas, manifest.layout)
    parts = []
    for start in range(0, len(raws), BATCH):
        batch = slice(start, start + BATCH)
        parts.append(asked.predict(raws[batch], metas[batch], poses[batch], direction_N[batch]))
    return concatenate(parts)


def _meta(raw: RawSample) -> SampleMeta:
    try:
        return SampleMeta.model_validate_json(raw.json)
    except ValueError as error:  # pydantic's are such
        raise TrainingError(
            f"'{raw.key}' could not be used: {error}; run 'landmarks verify' on the set"
        ) from error


@dataclass(frozen=True)
class _Asked:
    """A model, and how it is asked about the faces of a set."""

    model: LandmarkModel
    manifest: Manifest
    conditions: Conditions
    device: torch.device
    thumbnail: int | None

    def predict(
        self,
        raws: Sequence[RawSample],
        metas: Sequence[SampleMeta],
        poses: Sequence[float | None],
        direction_B: np.ndarray,
    ) -> Predictions:
        quarantine = Quarantine(max_share=0.0)
        samples = [StreamSample(i, i, raw) for i, raw in enumerate(raws)]
        batch = collate(samples, self.manifest.crop.size, self.manifest.num_landmarks, quarantine)
        images_B3SS, crops = self._images(batch.images_B3SS, metas, direction_B)
        input_size = self.model.description.input_size
        points_BK2, covariance_BK22, scatter_BK = self._answers(
            network_input(images_B3SS.to(self.device), input_size)
        )
        stored_BK2 = (points_BK2 + 0.5) * (self.manifest.crop.size / input_size) - 0.5
        scale_B = np.array([input_size / crop.side for crop in crops])
        if covariance_BK22 is not None:
            # Crops are squares, never turned: the map to the original image is a scaling.
            linear_B22 = torch.eye(2, dtype=torch.float64) / torch.from_numpy(scale_B)[:, None, None]
            covariance_BK22 = to_image(torch.from_numpy(covariance_BK22), linear_B22).numpy()
        points_BK2 = np.stack([crop.to_original(p) for crop, p in zip(crops, stored_BK2, strict=True)])
        predicted = self.conditions.predicted
        if predicted is not None:
            # Landmarks without counterpart are masked; what stands there is a number all the same.
            points_BK2 = np.nan_to_num(predicted.points(points_BK2))
            covariance_BK22 = None if covariance_BK22 is None else predicted.covariances(covariance_BK22)
            scatter_BK = None if scatter_BK is None else predicted.means(scatter_BK)
        return Predictions(
            keys=np.array([m.key for m in metas]),
            points_NK2=points_BK2,
            scale_N=scale_B,
            scatter_NK=scatter_BK,
            covariance_NK22=None if covariance_BK22 is None else covariance_BK22.astype(np.float32),
            images_NSS3=None if self.thumbnail is None else _small(images_B3SS, self.thumbnail),
            crops_N3=None if self.thumbnail is None else np.array([(c.left, c.top, c.side) for c in crops]),
            **truth_of(metas, poses, self.manifest, self.conditions.meeting)._asdict(),
        )

    def _images(
        self, images_B3SS: torch.Tensor, metas: Sequence[SampleMeta], direction_B: np.ndarray
    ) -> tuple[torch.Tensor, list[Crop]]:
        """Crops as the model will see them, and where they lie."""
        conditions, crops = self.conditions, [meta.crop for meta in metas]
        keys = [meta.key for meta in metas]
        images_BSS3 = images_B3SS.permute(0, 2, 3, 1).contiguous().numpy()
        if conditions.box_noise:
            shift_B2, factor_B = box_noise(keys, conditions.box_noise)
            images_BSS3 = recropped(images_BSS3, shift_B2, factor_B)
            crops = [
                moved(crop, shift, factor)
                for crop, shift, factor in zip(crops, shift_B2.tolist(), factor_B.tolist(), strict=True)
            ]
        if conditions.perturbation is not None:
            images_BSS3 = perturb(images_BSS3, keys, conditions.perturbation, direction_B)
        return torch.from_numpy(images_BSS3).permute(0, 3, 1, 2), crops

    def _answers(self, images_B3HW: torch.Tensor) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Points, covariances and scatter in px of the network input, float64."""
        scatter_BK: torch.Tensor | None = None
        if self.conditions.flip:  # a mean of two answers has no heatmap, so no scatter
            points_BK2, covariance_BK22 = averaged_over_flip(self.model, images_B3HW)
        else:
            prediction = self.model(images_B3HW)
            points_BK2, covariance_BK22 = prediction.points_BK2, prediction.covariance_BK22
            scatter_BK = prediction.scatter
        return (
            points_BK2.double().cpu().numpy(),
            None if covariance_BK22 is None else covariance_BK22.double().cpu().numpy(),
            None if scatter_BK is None else scatter_BK.double().cpu().numpy(),
        )


def _small(images_B3SS: torch.Tensor, side: int) -> np.ndarray:
    small = F.interpolate(images_B3SS.float(), (side, side), mode="bilinear", antialias=True)
    return np.asarray(small.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())


def concatenate(parts: list[Predictions]) -> Predictions:
    """Join predictions of parts of one set, in order."""

    def join_field(name: str) -> np.ndarray | None:
        values = [getattr(p, name) for p in parts]
        return None if values[0] is None else np.concatenate(values)

    joined = {name: join_field(name) for name in parts[0].__dataclass_fields__}
    return Predictions(**joined)  # type: ignore[arg-type]  # fields that are None stay None in every part
