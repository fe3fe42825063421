"""Prediction on prepared sets: faces that are cut out already, shard by shard; and the calibration of a model on one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.errors import ConfigError, DataError
from pipeline.inference.calibration import Calibration, Fit, fit
from pipeline.inference.predicted_face import PredictedFace
from pipeline.inference.predictor import Predictor
from pipeline.methods.model_file import LandmarkModel
from pipeline.shards.loader import Quarantine, collate
from pipeline.shards.manifest import Manifest, SampleMeta, join, load_manifest, manifest_url, parent
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.stream import StreamSample

_BATCH = 32


def predict_stored(
    predictor: Predictor, manifest: Manifest, folder: str, shard: int
) -> Iterator[tuple[str, SampleMeta | None, PredictedFace | str]]:
    """The faces of one shard.

    Args:
        predictor: Made for crops like the set's (``Predictor.check_fits``).
        manifest: Of the set.
        folder: Where its tars are.
        shard: Which.

    Yields:
        Key, meta data, and the face with landmarks in px of its original image; of one that cannot be read key, None and why.

    Raises:
        ShardError: The tar cannot be read.
    """
    batch: list[RawSample] = []
    for raw in iterate_shard(join(folder, manifest.shards[shard].path)):
        batch.append(raw)
        if len(batch) == _BATCH:
            yield from _predict(predictor, batch, manifest.crop.size)
            batch = []
    if batch:
        yield from _predict(predictor, batch, manifest.crop.size)


def _predict(
    predictor: Predictor, raws: list[RawSample], size: int
) -> Iterator[tuple[str, SampleMeta | None, PredictedFace | str]]:
    quarantine = Quarantine(max_share=1.0)  # whoever asked counts them
    batch = collate([StreamSample(i, i, raw) for i, raw in enumerate(raws)], size, 0, quarantine)
    valid = np.flatnonzero(batch.valid_B.numpy())
    metas = {int(place): SampleMeta.model_validate_json(raws[place].json) for place in valid}
    images_BSS3 = batch.images_B3SS.permute(0, 2, 3, 1).numpy()[valid]
    faces = predictor.on_crops(images_BSS3, [meta.crop for meta in metas.values()]) if metas else []
    predicted = dict(zip(metas, faces, strict=True))
    for place, raw in enumerate(raws):
        if place in predicted:
            yield raw.key, metas[place], predicted[place]
        else:
            yield raw.key, None, quarantine.entries[raw.key]


def calibrate(model: LandmarkModel, data: str, device: str = "cpu") -> Calibration:
    """Fit a model's temperatures, with and without the mirror image, on a labelled set that it was not trained on.

    Args:
        model: In evaluation mode.
        data: Prepared set, held out: the one that training selected the model by will do, as one number is fitted to thousands of
            landmarks.
        device: Where to compute.

    Raises:
        ConfigError: A set of another markup or other crops, or an unlabelled one; a model that states no uncertainty.
    """
    manifest, folder = load_manifest(data), parent(manifest_url(data))
    description = model.description
    if manifest.role != "labelled" or manifest.layout != description.layout:
        raise ConfigError(
            f"{data} holds {manifest.markup or 'no'} landmarks, '{description.name}' predicts '{description.markup}': calibrate "
            "on a labelled set of that markup"
        )
    fits = [
        _fit(Predictor(model, flip=flip, device=device), manifest, folder, data) for flip in (False, True)
    ]
    return Calibration(
        config_hash=description.config_hash,
        step=description.step,
        data=manifest.name,
        data_config_hash=manifest.config_hash,
        fits=tuple(fits),
    )


def _fit(predictor: Predictor, manifest: Manifest, folder: str, data: str) -> Fit:
    predictor.check_fits(manifest, data)
    faces: list[PredictedFace] = []
    targets: list[list[tuple[float, float]]] = []
    for shard in range(len(manifest.shards)):
        for key, meta, face in predict_stored(predictor, manifest, folder, shard):
            if meta is None or isinstance(face, str):
                raise DataError(f"{data}: '{key}' cannot be read: {face}; run 'landmarks verify' on it")
            faces.append(face)
            targets.append([(np.nan, np.nan) if p is None else p for p in meta.points or []])
    covariances = [face.covariance_K22 for face in faces if face.covariance_K22 is not None]
    if len(covariances) < len(faces):
        raise ConfigError(
            f"'{predictor.models[0].description.name}' states no uncertainty, and none was measured on its held-out split: there "
            "is nothing to calibrate"
        )
    return fit(
        np.stack([face.points_K2 for face in faces]),
        np.stack(covariances),
        np.array(targets, dtype=np.float64),
        np.array([face.size for face in faces]),
        flip=predictor.flip,
        tolerance=predictor.tolerance,
    )
