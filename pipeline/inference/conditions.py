"""The conditions that models are asked under: all of a protocol that changes answers, checked before any is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.errors import ConfigError
from pipeline.evaluation.metrics.nme import NORMALISATIONS
from pipeline.evaluation.perturbation import Perturbation
from pipeline.evaluation.sizes import defines
from pipeline.markup import Markup, load_markup
from pipeline.markup_mapping import MarkupMapping
from pipeline.markup_meeting import Meeting, meet
from pipeline.shards.manifest import Manifest
from pipeline.training.config.compose import parse_overrides, with_values
from pipeline.training.config.evaluation import EvaluationConfig
from pipeline.training.config.experiment import ExperimentConfig

_SECTION = "evaluation."


@dataclass(frozen=True, eq=False)
class Conditions:
    """How one model is asked. Picklable: it travels to workers.

    Attributes:
        meeting: Where it meets the set; None where model and set have one markup.
        place: Of the model among those of the meeting.
        flip: Average over the mirror image.
        box_noise: Each box is shifted and scaled by up to this share of its side.
        perturbation: What is done to the images.
    """

    meeting: Meeting | None = None
    place: int = 0
    flip: bool = False
    box_noise: float = 0.0
    perturbation: Perturbation | None = None

    @property
    def predicted(self) -> MarkupMapping | None:
        """From the model's markup to the one measured in; None where there is nothing to map."""
        return None if self.meeting is None or self.meeting.plain else self.meeting.predicted[self.place]


@dataclass(frozen=True, eq=False)
class Plan:
    """All that models are asked on one set.

    Attributes:
        meeting: Of their markups.
        perturbations: None first: the images as they are.
        flip: See ``Conditions``.
        box_noise: Likewise.
    """

    meeting: Meeting
    perturbations: tuple[Perturbation | None, ...]
    flip: bool
    box_noise: float

    def conditions(self, perturbation: Perturbation | None) -> list[Conditions]:
        """Of every model."""
        alike = Conditions(self.meeting, 0, self.flip, self.box_noise, perturbation)
        return [replace(alike, place=place) for place in range(len(self.meeting.predicted))]


def settings_of(
    config: ExperimentConfig | None, overrides: Sequence[str], values: Mapping[str, Any]
) -> EvaluationConfig:
    """How to measure: as a run's config says, but for what is asked otherwise now.

    Args:
        config: Of the run; None where it is not known.
        overrides: Dotted; those of the section ``evaluation`` count, whether the run was named by its config or its folder.
        values: Field → value of the command line's own options; None where it was not given.

    Raises:
        ConfigError: Naming the key, or the value that cannot be.
    """
    settings = EvaluationConfig() if config is None else config.evaluation
    asked = {
        key.removeprefix(_SECTION): value
        for key, value in parse_overrides(overrides)
        if key.startswith(_SECTION)
    }
    asked |= {key: value for key, value in values.items() if value is not None}
    return with_values(settings, asked, "evaluation")


def plan(models: Sequence[Markup], manifest: Manifest, settings: EvaluationConfig) -> Plan:
    """What models will be asked.

    Args:
        models: What each predicts.
        manifest: Of the set.
        settings: How to measure.

    Raises:
        ConfigError: Markups that do not meet; a size that these landmarks do not define; a box source that the set's crops were
            not placed by.
    """
    data = manifest.layout
    meeting = meet(models, data, None if settings.markup is None else load_markup(settings.markup))
    if not any(defines(markup, settings.normalisation) for markup in (data, meeting.markup)):
        possible = ", ".join(n for n in NORMALISATIONS if defines(data, n))
        raise ConfigError(
            f"evaluation.normalisation = {settings.normalisation}: markup '{data.name}' of '{manifest.name}' does not define it; "
            f"it defines {possible}"
        )
    if settings.box_source is not None and settings.box_source != manifest.crop.points:
        raise ConfigError(
            f"evaluation.box_source = {settings.box_source}: the crops of '{manifest.name}' were placed by the "
            f"{manifest.crop.points}; prepare the set with crop.points = {settings.box_source}"
        )
    return Plan(
        meeting, (None, *dict.fromkeys(settings.perturbations)), settings.flip_test, settings.box_noise
    )
