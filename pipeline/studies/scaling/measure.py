"""The trained cells of a study, measured on one set: predictions are kept, so that a later command measures only what is new."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipeline.errors import ConfigError
from pipeline.evaluation import protocol, provenance
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import Evaluation, face_nme
from pipeline.inference.measured import protocol_of
from pipeline.methods.model_file import load_description
from pipeline.shards.manifest import join, load_manifest
from pipeline.storage import absolute, exists
from pipeline.studies.scaling.cells import CellResult, Study
from pipeline.studies.scaling.plan import StudyPlan
from pipeline.training.run import TrainingResult

Predict = Callable[[Sequence[TrainingResult], str], list[Predictions]]
"""Predictions of finished runs on a set; on a cluster, so the caller's."""


def measure(plan: StudyPlan, results: Mapping[str, TrainingResult], predict: Predict) -> Study:
    """Measure every finished run on ``data.test``, or, without one, on the held-out split.

    Args:
        plan: Of the study; predictions go into ``measured/`` in its folder.
        results: Run name → result, of the finished ones.
        predict: Called once, with the runs that have no predictions yet.

    Raises:
        ConfigError: There is no set to measure on.
        DataError: Cells that do not compare.
    """
    config = plan.config
    # For want of a test set, where it was selected: the report says so.
    selected_on_it = config.data.test is None and config.training.select == "best"
    data = config.data.test or config.data.validation
    if data is None:
        raise ConfigError("scale measures on data.test, or without one on data.validation: name one of them")
    data = absolute(data)
    manifest = load_manifest(data)
    markup = manifest.layout
    measured = protocol_of(config.evaluation, manifest, own=config.data.test is not None)
    # A run's name and content are one; another set, or the same set prepared anew, is measured anew.
    kept = {name: join(plan.folder, f"measured/{name}.{manifest.config_hash}.npz") for name in results}
    missing = [name for name, url in kept.items() if not exists(url)]
    if missing:
        for name, answer in zip(missing, predict([results[n] for n in missing], data), strict=True):
            answer.save(kept[name])
    cells = []
    for cell, name in plan.cells.items():
        if name not in results:
            continue
        result, answer = results[name], Predictions.load(kept[name])
        evaluation = protocol.evaluate(answer, markup, measured, run=name)
        cells.append(
            CellResult(
                cell=cell,
                run=name,
                steps=result.steps,
                seconds=result.seconds,
                config_hash=load_description(result.model).config_hash,
                mlflow_run=result.mlflow_run,
                validation_nme=result.best,
                nme_N=face_nme(answer, markup, measured.normalisation),
                keys=tuple(str(key) for key in answer.keys),
                extra=_extra(evaluation),
            )
        )
    return Study(
        tuple(cells),
        measured.name,
        markup.name,
        provenance.collect(
            None,
            None,
            data=manifest.name,
            data_config_hash=manifest.config_hash,
            selection=f"training.select = {config.training.select}",
            selection_set="validation: the very faces measured here"
            if selected_on_it
            else "validation, held out of the training set",
        ),
        selected_on_test=selected_on_it,
    )


def _extra(evaluation: Evaluation) -> dict[str, float]:
    figures: dict[str, float | None] = {
        f"NME {name} %": summary.nme for name, summary in evaluation.errors.items()
    }
    figures |= {"FR10 %": evaluation.headline.failure_rate.get("10")}
    figures |= {"AUC10 %": evaluation.headline.auc.get("10")}
    if evaluation.scatter is not None:
        figures["scatter px"] = evaluation.scatter.grid_px
    return {name: value for name, value in figures.items() if value is not None}
