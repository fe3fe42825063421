"""An evaluation: the protocol of a measurement, and the measurement.

A number without its protocol cannot be compared: ``Protocol`` names data set, subset, split, normalisation,
where the crop came from and whether predictions were averaged over a flip, and every ``Evaluation`` carries
it with the run's provenance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from pipeline.errors import DataError
from pipeline.evaluation.direction import DirectionSummary, summarise_direction
from pipeline.evaluation.groups import POSE_BINS, GroupSummary, summarise_groups
from pipeline.evaluation.mapped import MappingSummary
from pipeline.evaluation.metrics.failure import THRESHOLDS_PERCENT
from pipeline.evaluation.metrics.nme import (
    NORMALISATIONS,
    Normalisation,
    nme_per_face,
    point_errors,
)
from pipeline.evaluation.perturbation import Perturbation
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.selection import SelectionSummary, summarise_selection
from pipeline.evaluation.sizes import face_sizes
from pipeline.evaluation.summary import (
    ErrorSummary,
    LandmarkErrors,
    ScatterSummary,
    summarise_errors,
    summarise_landmarks,
    summarise_scatter,
)
from pipeline.evaluation.uncertainty import UncertaintySummary, summarise_uncertainty
from pipeline.markup import Markup
from pipeline.storage import open_text, write_text
from pipeline.strict import Finite

BoxSource = Literal["detector", "landmarks", "dataset", "image"]


class Protocol(Finite):
    """The conditions of a measurement. Two numbers compare only if their protocols are equal."""

    dataset: str = Field(min_length=1, description="e.g. 300w")
    subset: str | None = Field(default=None, description="e.g. common, challenge; None for all of the split")
    split: str = Field(min_length=1, description="train, validation or test")
    normalisation: Normalisation = Field(
        default="ocular", description="the headline's; all four are always computed"
    )
    box_source: BoxSource = Field(
        default="detector", description="whose points or box the crop was placed around"
    )
    flip_test: bool = Field(
        default=False, description="predictions averaged with those of the mirrored image"
    )
    markup: str | None = Field(
        default=None, description="markup measured in, where predictions or truth were mapped to it"
    )
    landmarks: int | None = Field(
        default=None, ge=1, description="of that markup, those that the set and all models have"
    )
    box_noise: float = Field(
        default=0.0, ge=0, description="crops shifted and scaled by up to this share of their side"
    )
    perturbation: Perturbation | None = Field(default=None, description="what was done to the images")

    @property
    def name(self) -> str:
        """One line, e.g. ``300w/test · ocular · detector box · no flip``."""
        where = "/".join(part for part in (self.dataset, self.subset, self.split) if part)
        box = {
            "detector": "detector box",
            "landmarks": "ground-truth-landmark box",
            "dataset": "data-set box",
            "image": "whole image",
        }[self.box_source]
        parts = [where, self.normalisation, box, "flip test" if self.flip_test else "no flip"]
        if self.markup is not None:
            parts.append(f"{self.landmarks} landmarks of {self.markup}")
        if self.box_noise:
            parts.append(f"box noise ± {100 * self.box_noise:g} %")
        if self.perturbation is not None:
            parts.append(self.perturbation.replace("-", " "))
        return " · ".join(parts)

    @property
    def variant(self) -> str:
        """What is unlike a plain measurement of the set, as a part of a file's or a metric's name; empty where nothing is."""
        parts = ["flip"] if self.flip_test else []
        if self.markup is not None:
            parts.append(f"{self.markup}-{self.landmarks}")
        if self.box_noise:
            parts.append(f"box-noise-{self.box_noise:g}")
        return "-".join([*parts, *([self.perturbation] if self.perturbation else [])])


class Evaluation(Finite):
    """The numbers of one run under one protocol. NME, FR, AUC, rates and coverage are per cent, scatter and *px px."""

    format: Literal["landmark-pipeline/evaluation"] = "landmark-pipeline/evaluation"
    version: Literal[1] = 1
    units: Literal["nme, failure_rate, auc: per cent; scatter and *px: pixels"] = (
        "nme, failure_rate, auc: per cent; scatter and *px: pixels"
    )
    run: str = Field(min_length=1, description="run name")
    protocol: Protocol
    protocol_name: str = Field(description="the protocol in one line")
    markup: str
    faces: int = Field(ge=1, description="faces evaluated, those with undefined NME included")
    landmarks: int = Field(ge=0, description="(face, landmark) pairs that count")
    errors: dict[Normalisation, ErrorSummary] = Field(
        description="every normalisation, whatever the protocol's"
    )
    scatter: ScatterSummary | None = Field(description="None for a model without heatmaps")
    per_landmark: LandmarkErrors
    direction: DirectionSummary | None = Field(
        default=None, description="None for a markup without curves, and in files older than it"
    )
    uncertainty: UncertaintySummary | None = Field(
        default=None, description="None for a model that states no covariance"
    )
    selection: SelectionSummary | None = Field(
        default=None, description="None for a model without uncertainty, and in files older than it"
    )
    groups: tuple[GroupSummary, ...] = Field(
        default=(), description="by what the set says of its faces; empty in files older than it"
    )
    mappings: tuple[MappingSummary, ...] = Field(
        default=(), description="empty where model and set have one markup"
    )
    selected_on_test: bool = Field(
        default=False, description="the checkpoint was chosen on the very set evaluated here"
    )
    trained_on_test: bool = Field(
        default=False, description="the faces evaluated here are among those it was trained on"
    )
    provenance: dict[str, Any] = Field(
        default_factory=dict, description="run, config hash, commit, seed, checkpoint, …"
    )

    @property
    def headline(self) -> ErrorSummary:
        """The errors under the protocol's own normalisation."""
        return self.errors[self.protocol.normalisation]


def face_nme(predictions: Predictions, markup: Markup, normalisation: Normalisation) -> np.ndarray:
    """(N,) NME ratio of each face, NaN where undefined; for plots and for choosing faces to show."""
    errors_NK = point_errors(predictions.points_NK2, predictions.target_NK2, predictions.mask_NK)
    return nme_per_face(errors_NK, face_sizes(predictions, markup, normalisation))


def evaluate(
    predictions: Predictions,
    markup: Markup,
    protocol: Protocol,
    *,
    run: str,
    thresholds: Sequence[float] = THRESHOLDS_PERCENT,
    pose_bins: int = POSE_BINS,
    mappings: Sequence[MappingSummary] = (),
    provenance: Mapping[str, Any] | None = None,
    selected_on_test: bool = False,
    trained_on_test: bool = False,
) -> Evaluation:
    """Measure a run.

    Args:
        predictions: What the model said, beside the truth, in original px.
        markup: The landmarks' markup.
        protocol: The conditions the predictions were made under.
        run: Name of the run.
        thresholds: Of failure rates and areas, %.
        pose_bins: Bins along the pose, among the groups of faces.
        mappings: How predictions and truth came into the markup.
        provenance: JSON values; see ``provenance.collect``.
        selected_on_test: Stamp the result as selected on its own test set.
        trained_on_test: Likewise as trained on it.

    Raises:
        DataError: The predictions have another number of landmarks, or no face has a defined error under the
        protocol.
    """
    k = predictions.points_NK2.shape[1]
    if k != markup.num_landmarks:
        raise DataError(
            f"run '{run}' predicts {k} landmarks, but markup '{markup.name}' has {markup.num_landmarks}"
        )
    mask_NK = predictions.mask_NK
    errors_NK = point_errors(predictions.points_NK2, predictions.target_NK2, mask_NK)
    sizes = {n: face_sizes(predictions, markup, n) for n in NORMALISATIONS}
    summaries = {n: summarise_errors(errors_NK, sizes[n], thresholds) for n in NORMALISATIONS}
    if not summaries[protocol.normalisation].faces:
        possible = ", ".join(n for n in NORMALISATIONS if summaries[n].faces) or "none"
        raise DataError(
            f"run '{run}': normalisation '{protocol.normalisation}' is undefined on all "
            f"{len(predictions)} faces of markup '{markup.name}'; defined ones are: {possible}"
        )
    scatter = predictions.scatter_NK
    return Evaluation(
        run=run,
        protocol=protocol,
        protocol_name=protocol.name,
        markup=markup.name,
        faces=len(predictions),
        landmarks=int(mask_NK.sum()),
        errors=summaries,
        scatter=None if scatter is None else summarise_scatter(scatter, mask_NK, predictions.scale_N),
        per_landmark=summarise_landmarks(errors_NK, sizes[protocol.normalisation], markup),
        direction=summarise_direction(predictions, sizes[protocol.normalisation], markup),
        uncertainty=summarise_uncertainty(predictions, sizes[protocol.normalisation]),
        selection=summarise_selection(predictions, sizes[protocol.normalisation]),
        groups=summarise_groups(predictions, errors_NK, sizes[protocol.normalisation], thresholds, pose_bins),
        mappings=tuple(mappings),
        selected_on_test=selected_on_test,
        trained_on_test=trained_on_test,
        provenance=dict(provenance or {}),
    )


def dump(evaluation: Evaluation) -> str:
    """Canonical JSON text (sorted keys, trailing newline); percentages and pixels."""
    return (
        json.dumps(
            evaluation.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False
        )
        + "\n"
    )


def save(evaluation: Evaluation, url: str) -> None:
    """Write the JSON atomically; local path or URL."""
    write_text(url, dump(evaluation))


def load(url: str) -> Evaluation:
    """Read what ``save`` wrote.

    Raises:
        DataError: Missing, not JSON, or not an evaluation of this version; the message names the file and
        field.
    """
    try:
        with open_text(url) as file:
            return Evaluation.model_validate_json(file.read())
    except FileNotFoundError as error:
        raise DataError(
            f"{url}: no such evaluation; run 'landmarks evaluate' first, or correct the path"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{url}: not JSON ({error}); evaluate again") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(whole)"
        raise DataError(f"{url}: field '{field}': {first['msg']}; evaluate again") from error
