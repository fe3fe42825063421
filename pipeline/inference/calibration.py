"""A model's calibration: the temperature of its confidences, fitted on held-out faces and kept beside its weights.

``calibration.json`` in the model's folder, written by ``landmarks calibrate``. It holds for the weights it was fitted on and,
fit by fit, for one way of asking them: with or without the mirror image, which changes covariances. Asked otherwise, confidences
are uncalibrated, and say so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError

from pipeline.errors import DataError
from pipeline.inference.confidence import (
    TOLERANCE,
    calibration_gap,
    disc_probability,
    fit_temperature,
    log_loss,
    variances,
)
from pipeline.methods.model_file import ModelDescription
from pipeline.shards.manifest import join
from pipeline.storage import read_text, write_text
from pipeline.strict import Strict

CALIBRATION = "calibration.json"


class Fit(Strict):
    """A temperature, and what it is worth on the faces it was fitted on."""

    flip: bool = Field(description="the model was asked with the mirror image, too")
    temperature: float = Field(
        gt=0, description="T: errors are as if the standard deviations were T times the predicted ones"
    )
    faces: int = Field(ge=1)
    landmarks: int = Field(ge=1, description="(face, landmark) pairs that count")
    right: float = Field(ge=0, le=1, description="share of them within the tolerance")
    log_loss: tuple[float, float] = Field(description="mean, nats: at T = 1, and at T")
    gap: tuple[float, float] = Field(description="expected calibration error: at T = 1, and at T")


class Calibration(Strict):
    """``calibration.json``."""

    format: Literal["landmark-pipeline/calibration"] = "landmark-pipeline/calibration"
    version: Literal[1] = 1
    tolerance: float = Field(
        TOLERANCE, gt=0, description="a landmark is right within this share of the face's side"
    )
    config_hash: str = Field(description="of the model, with the next what tells its weights from others")
    step: int
    data: str = Field(description="set it was fitted on")
    data_config_hash: str
    fits: tuple[Fit, ...]

    def temperature(self, description: ModelDescription, flip: bool, tolerance: float) -> float | None:
        """T for a model asked in a certain way; None where this calibration does not hold for that."""
        if (self.config_hash, self.step, self.tolerance) != (
            description.config_hash,
            description.step,
            tolerance,
        ):
            return None
        return next((fit.temperature for fit in self.fits if fit.flip == flip), None)


def fit(
    points_NK2: np.ndarray,
    covariance_NK22: np.ndarray,
    target_NK2: np.ndarray,
    size_N: np.ndarray,
    *,
    flip: bool,
    tolerance: float = TOLERANCE,
) -> Fit:
    """Fit a temperature.

    Args:
        points_NK2: (N, K, 2) predicted landmarks, px.
        covariance_NK22: (N, K, 2, 2), px².
        target_NK2: (N, K, 2) true ones; NaN where unknown.
        size_N: (N,) side of each face, px.
        flip: How the model was asked.
        tolerance: Share of the side within which a landmark is right.

    Raises:
        DataError: Not a single landmark is known.
    """
    known_NK = np.isfinite(target_NK2).all(axis=-1)
    if not known_NK.any():
        raise DataError("not a single landmark of these faces is known: nothing to calibrate on")
    error_NK = np.linalg.norm(points_NK2 - np.nan_to_num(target_NK2), axis=-1) / size_N[:, None]
    right_N = (error_NK <= tolerance)[known_NK]
    variances_N2 = variances(covariance_NK22, size_N)[known_NK]
    temperature = fit_temperature(variances_N2, right_N, tolerance)
    before_N = disc_probability(variances_N2, tolerance)
    after_N = disc_probability(variances_N2, tolerance, temperature)
    return Fit(
        flip=flip,
        temperature=temperature,
        faces=int(known_NK.any(axis=1).sum()),
        landmarks=int(known_NK.sum()),
        right=float(right_N.mean()),
        log_loss=(log_loss(before_N, right_N), log_loss(after_N, right_N)),
        gap=(calibration_gap(before_N, right_N), calibration_gap(after_N, right_N)),
    )


def save_calibration(folder: str, calibration: Calibration) -> None:
    """Write ``calibration.json`` beside a model."""
    write_text(join(folder, CALIBRATION), calibration.model_dump_json(indent=2) + "\n")


def load_calibration(folder: str) -> Calibration | None:
    """Read ``calibration.json``; None where there is none.

    Raises:
        DataError: Malformed.
    """
    url = join(folder, CALIBRATION)
    text = read_text(url)
    if text is None:
        return None
    try:
        return Calibration.model_validate(json.loads(text))
    except (ValueError, ValidationError) as error:
        raise DataError(
            f"{url}: not a calibration of this release: {error}; run 'landmarks calibrate' again"
        ) from error


def summary(fits: Sequence[Fit]) -> list[str]:
    """What was fitted, a line each."""
    return [
        f"{'with' if f.flip else 'without'} the mirror image: T = {f.temperature:.3f} · {f.landmarks:,} landmarks of {f.faces:,} "
        f"faces, {f.right:.1%} right · calibration error {f.gap[0]:.2%} → {f.gap[1]:.2%} · log loss {f.log_loss[0]:.3f} → "
        f"{f.log_loss[1]:.3f}"
        for f in fits
    ]
