"""The section ``evaluation``: how trained models are measured, and what stands beside them in reports."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from pipeline.evaluation.groups import POSE_BINS
from pipeline.evaluation.metrics.failure import THRESHOLDS_PERCENT
from pipeline.evaluation.perturbation import Perturbation
from pipeline.shards.manifest import CropPoints
from pipeline.strict import Strict


class ReferenceConfig(Strict):
    """A published result to stand beside ours in reports."""

    name: str = Field(description="method and source")
    values: dict[str, float] = Field(
        description="column key → value: ocular, pupil, box, fr10, auc10, scatter, normal, tangent, bias, r, r_face, cover90, …"
    )
    caveat: str = Field(description="what differs from our protocol")


class EvaluationConfig(Strict):
    """How runs are measured and what stands beside them."""

    normalisation: Literal["ocular", "pupil", "box", "diagonal"] = Field(
        "ocular", description="of the headline; all are computed"
    )
    dataset: str | None = Field(
        None, description="name in protocols, e.g. 300w, of a data.test whose own manifest has none"
    )
    subset: str | None = Field(None, description="e.g. common; likewise")
    thresholds: tuple[float, ...] = Field(
        THRESHOLDS_PERCENT,
        description="of failure rates, by face and by landmark, and of areas under the curve, % of the face's size",
    )
    markup: str | None = Field(
        None,
        description="markup to measure in, predictions and truth mapped to it; null: the one in which most landmarks are common, "
        "the set's own where the models have it",
    )
    flip_test: bool = Field(False, description="average predictions with those of the mirrored image")
    box_source: CropPoints | None = Field(
        None, description="what the set's crops must be placed by, else it is refused; null: anything"
    )
    box_noise: float = Field(
        0.0, ge=0, le=0.3, description="shift and scale each crop by up to this share of its side"
    )
    perturbations: tuple[Perturbation, ...] = Field(
        (), description="measure on images made harder, too: occlusion and blur, medium and large"
    )
    pose_bins: int = Field(POSE_BINS, ge=1, description="of equal width, in the table of groups of faces")
    notes: tuple[str, ...] = Field((), description="paragraphs for the report")
    references: tuple[ReferenceConfig, ...] = ()

    @field_validator("thresholds")
    @classmethod
    def _check_thresholds(cls, thresholds: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < threshold < 1000 for threshold in thresholds):
            raise ValueError(f"thresholds {list(thresholds)}: per cent of the face's size, above 0")
        return thresholds

    @property
    def special(self) -> list[str]:
        """Fields that ask for another measurement than the set's own, as it is; what measures so alone must refuse them."""
        asked = {
            "markup": self.markup is not None,
            "flip_test": self.flip_test,
            "box_noise": self.box_noise > 0,
            "perturbations": bool(self.perturbations),
        }
        return [name for name, holds in asked.items() if holds]
