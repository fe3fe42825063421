"""A model's answers on a prepared labelled set, in the original images' pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from pipeline.evaluation.predictions import Predictions
from pipeline.heatmaps.uncertainty import to_image
from pipeline.methods.model_file import LandmarkModel
from pipeline.shards.device import to_device
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
) -> Predictions:
    """Predict one shard of a labelled set.

    Args:
        model: In evaluation mode, on ``device``.
        manifest: Of the set.
        folder: Where its tars are.
        shard: Which.
        device: Where to compute.
        thumbnail: Side of the small crops kept for reports, px; None keeps none.

    Returns:
        Predictions and covariances in original px; scatter in px of the network input.

    Raises:
        ShardError: The tar cannot be read. A test set is not thinned out silently.
        TrainingError: A sample cannot be decoded.
    """
    raws = list(iterate_shard(join(folder, manifest.shards[shard].path)))
    parts = [
        _predict(model, manifest, raws[i : i + BATCH], torch.device(device), thumbnail)
        for i in range(0, len(raws), BATCH)
    ]
    return concatenate(parts)


def _predict(
    model: LandmarkModel,
    manifest: Manifest,
    raws: list[RawSample],
    device: torch.device,
    thumbnail: int | None,
) -> Predictions:
    quarantine = Quarantine(max_share=0.0)
    batch = collate(
        [StreamSample(i, i, raw) for i, raw in enumerate(raws)],
        manifest.crop.size,
        manifest.num_landmarks,
        quarantine,
    )
    inputs = to_device(batch, device, model.description.input_size)
    prediction = model(inputs.images_B3HW)
    points = prediction.points_BK2.double().cpu().numpy()
    metas = [SampleMeta.model_validate_json(raw.json) for raw in raws]
    ratio = manifest.crop.size / model.description.input_size
    stored = (points + 0.5) * ratio - 0.5
    target = np.array(
        [[(np.nan, np.nan) if p is None else p for p in m.points or []] for m in metas], dtype=np.float64
    )
    known = np.isfinite(target).all(axis=-1)
    scale = np.array([model.description.input_size / m.side for m in metas])
    covariance = None
    if prediction.covariance_BK22 is not None:
        # Crops are squares, never turned: the map to the original image is a scaling.
        linear_B22 = torch.eye(2, dtype=torch.float64) / torch.from_numpy(scale)[:, None, None]
        covariance = to_image(prediction.covariance_BK22.double().cpu(), linear_B22).float().numpy()
    scatter_BK = prediction.scatter
    images = None
    if thumbnail is not None:
        small = F.interpolate(
            batch.images_B3SS.float(), (thumbnail, thumbnail), mode="bilinear", antialias=True
        )
        images = small.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return Predictions(
        keys=np.array([m.key for m in metas]),
        points_NK2=np.stack([m.crop.to_original(p) for m, p in zip(metas, stored, strict=True)]),
        target_NK2=np.nan_to_num(target),
        mask_NK=np.asarray(known),
        scale_N=scale,
        scatter_NK=None if scatter_BK is None else scatter_BK.double().cpu().numpy(),
        covariance_NK22=covariance,
        images_NSS3=images,
        crops_N3=np.array([(m.left, m.top, m.side) for m in metas]) if images is not None else None,
    )


def concatenate(parts: list[Predictions]) -> Predictions:
    """Join predictions of parts of one set, in order."""

    def join_field(name: str) -> np.ndarray | None:
        values = [getattr(p, name) for p in parts]
        return None if values[0] is None else np.concatenate(values)

    joined = {name: join_field(name) for name in parts[0].__dataclass_fields__}
    return Predictions(**joined)  # type: ignore[arg-type]  # fields that are None stay None in every part
