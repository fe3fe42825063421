"""Trained models measured on a prepared set: by which protocol, with what provenance, as a row of a report."""

from __future__ import annotations

from pipeline.evaluation import protocol, provenance
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import Evaluation, Protocol
from pipeline.evaluation.report import RunReport
from pipeline.inference.panels import heatmap_panels
from pipeline.inference.trained import TrainedModel
from pipeline.shards.manifest import Manifest
from pipeline.training.config.experiment import EvaluationConfig

PANEL_FACES = 2


def protocol_of(settings: EvaluationConfig, manifest: Manifest) -> Protocol:
    """How a set is measured: as the config says, and otherwise as the set itself says."""
    return Protocol(
        dataset=settings.dataset or manifest.name,
        subset=settings.subset,
        split=manifest.split,
        normalisation=settings.normalisation,
        box_source=manifest.crop.points,
    )


def measure(
    model: TrainedModel, name: str, predictions: Predictions, measured: Protocol, manifest: Manifest
) -> Evaluation:
    """A model's errors on a set, with where they come from.

    Args:
        model: The model.
        name: What it is called beside others.
        predictions: Its answers on the whole set.
        measured: Protocol.
        manifest: Of the set.
    """
    description = model.description
    source = provenance.collect(
        description.config_hash,
        description.seed,
        checkpoint=model.folder,
        step=description.step,
        selection=description.extra.get("selected", "unknown"),
        selection_set="validation, held out of the training set",
        data=manifest.name,
        data_config_hash=manifest.config_hash,
    )
    return protocol.evaluate(predictions, manifest.layout, measured, run=name, provenance=source)


def reported(
    model: TrainedModel,
    evaluation: Evaluation,
    predictions: Predictions,
    manifest: Manifest,
    data: str,
    curves: dict[str, tuple[list[float], list[float]]],
) -> RunReport:
    """A measured model as a report shows it, with heatmaps of a few faces.

    Args:
        model: The model.
        evaluation: Of ``measure``.
        predictions: Its answers on the whole set.
        manifest: Of the set.
        data: Where the set lies.
        curves: Of its training, by what they show: steps, values.
    """
    return RunReport(
        name=evaluation.run,
        evaluation=evaluation,
        predictions=predictions,
        markup=manifest.layout,
        curves=curves,
        parameters=model.description.parameters,
        steps=model.description.step,
        images=model.training_images(),
        heatmap_panels=heatmap_panels(model.folder, data, PANEL_FACES),
    )
