"""Trained models measured on a prepared set: by which protocol, with what provenance, as a row of a report."""

from __future__ import annotations

from pipeline.errors import ManifestError
from pipeline.evaluation import protocol, provenance
from pipeline.evaluation.mapped import MappingSummary
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import Evaluation, Protocol
from pipeline.evaluation.report import RunReport
from pipeline.inference.conditions import Conditions
from pipeline.inference.panels import heatmap_panels
from pipeline.inference.trained import TrainedModel
from pipeline.markup import Markup
from pipeline.shards.identity import SetIdentity
from pipeline.shards.manifest import Manifest, load_manifest
from pipeline.training.config.evaluation import EvaluationConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.identity import WHERE

PANEL_FACES = 2
UNKNOWN = "unknown"


def protocol_of(
    settings: EvaluationConfig, manifest: Manifest, *, own: bool, conditions: Conditions | None = None
) -> Protocol:
    """How a set is measured. What it is, the set itself says; a config can only speak for its own test set.

    Args:
        settings: Of a config.
        manifest: Of the set.
        own: Whether the set is that config's ``data.test``.
        conditions: How the models were asked; None as the set is.
    """
    asked = conditions or Conditions()
    meeting = asked.meeting if asked.meeting is not None and not asked.meeting.plain else None
    dataset, subset = manifest.dataset, manifest.subset
    if dataset is None and own:  # prepared before manifests named it
        dataset, subset = settings.dataset, settings.subset
    return Protocol(
        dataset=dataset or UNKNOWN,
        subset=subset,
        split=manifest.split,
        normalisation=settings.normalisation,
        box_source="dataset" if manifest.crop.points == "box" else manifest.crop.points,
        flip_test=asked.flip,
        markup=None if meeting is None else meeting.markup.name,
        landmarks=None if meeting is None else int(meeting.common_T.sum()),
        box_noise=asked.box_noise,
        perturbation=asked.perturbation,
    )


def measure(
    model: TrainedModel,
    name: str,
    predictions: Predictions,
    manifest: Manifest,
    settings: EvaluationConfig,
    *,
    own: bool,
    conditions: Conditions | None = None,
) -> Evaluation:
    """A model's errors on a set, with where they come from.

    Args:
        model: The model.
        name: What it is called beside others.
        predictions: Its answers on the whole set.
        manifest: Of the set.
        settings: How to measure.
        own: Whether the set is the ``data.test`` of the config with these settings.
        conditions: How it was asked; None as the set is.
    """
    description = model.description
    selection_set, selected_on_it = selection(model, manifest)
    source = provenance.collect(
        description.config_hash,
        description.seed,
        recipe=None if model.config is None else config_hash(model.config, WHERE | {"name", "seed"}),
        checkpoint=model.folder,
        step=description.step,
        selection=description.extra.get("selected", UNKNOWN),
        selection_set=selection_set,
        data=manifest.name,
        data_config_hash=manifest.config_hash,
        data_attributes=list(manifest.attributes),
    )
    return protocol.evaluate(
        predictions,
        _markup(manifest, conditions),
        protocol_of(settings, manifest, own=own, conditions=conditions),
        run=name,
        thresholds=settings.thresholds,
        pose_bins=settings.pose_bins,
        mappings=_mappings(conditions),
        provenance=source,
        selected_on_test=selected_on_it,
        trained_on_test=any(known.same_faces(manifest) for known in description.trained_on),
    )


def _markup(manifest: Manifest, conditions: Conditions | None) -> Markup:
    if conditions is None or conditions.meeting is None or conditions.meeting.plain:
        return manifest.layout
    return conditions.meeting.markup


def _mappings(conditions: Conditions | None) -> tuple[MappingSummary, ...]:
    """Of the truth and of the predictions, those that change anything."""
    if conditions is None or conditions.meeting is None or conditions.predicted is None:
        return ()
    both = {"truth": conditions.meeting.labelled, "predictions": conditions.predicted}
    return tuple(
        MappingSummary(
            what=what,
            links=mapping.links,
            floors=tuple(None if d is None else d.floor for d in mapping.differences),
            measured=tuple(None if d is None else d.measured for d in mapping.differences),
        )
        for what, mapping in both.items()
        if len(mapping.links) > 1
    )


def selection(model: TrainedModel, manifest: Manifest) -> tuple[str, bool]:
    """What chose a model's weights, in words, and whether it was the very faces of a set.

    Args:
        model: The model.
        manifest: Of the set it is measured on.
    """
    description = model.description
    if description.extra.get("selected") == "last":
        return "none: the last step's weights", False
    chosen = description.selected_on or _validation_set(model)
    if chosen is None:
        return UNKNOWN, False
    if chosen.same_faces(manifest):
        return f"{chosen.name}: the very faces measured here", True
    return f"{chosen.name}: other faces than those measured here", False


def _validation_set(model: TrainedModel) -> SetIdentity | None:
    """Of a model whose file is older than its note of it: what its config names, if that is still there."""
    named = model.config.data.validation if model.config is not None else None
    try:
        return None if named is None else SetIdentity.of(load_manifest(named))
    except ManifestError:
        return None


def reported(
    model: TrainedModel,
    evaluation: Evaluation,
    predictions: Predictions,
    manifest: Manifest,
    data: str,
    curves: dict[str, tuple[list[float], list[float]]],
    conditions: Conditions | None = None,
) -> RunReport:
    """A measured model as a report shows it, with heatmaps of a few faces.

    Args:
        model: The model.
        evaluation: Of ``measure``.
        predictions: Its answers on the whole set.
        manifest: Of the set.
        data: Where the set lies.
        curves: Of its training, by what they show: steps, values.
        conditions: How it was asked; None as the set is.
    """
    harder = conditions is not None and conditions.perturbation is not None
    return RunReport(
        name=evaluation.run,
        evaluation=evaluation,
        predictions=predictions,
        markup=_markup(manifest, conditions),
        curves=curves,
        parameters=model.description.parameters,
        steps=model.description.step,
        images=model.training_images(),
        heatmap_panels=() if harder else heatmap_panels(model.folder, data, PANEL_FACES),
    )
