"""``landmarks evaluate``: any number of trained models on one labelled set; numbers as JSON, one report that compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from jobs.cluster.predict import predict
from pipeline.errors import ConfigError, DataError, TrackingError
from pipeline.evaluation import console as tables
from pipeline.evaluation import protocol
from pipeline.evaluation.console_groups import group_tables
from pipeline.evaluation.protocol import Evaluation
from pipeline.evaluation.report import ReferenceRow, build_report
from pipeline.evaluation.report_robustness import perturbed_name
from pipeline.evaluation.significance import undecided
from pipeline.inference.conditions import plan, settings_of
from pipeline.inference.measured import measure, reported
from pipeline.inference.trained import find_trained, names_apart
from pipeline.shards.manifest import join, load_manifest
from pipeline.storage import absolute


def evaluate(
    arguments: Sequence[str],
    *,
    data: str | None = None,
    out: str,
    overrides: Sequence[str] = (),
    title: str | None = None,
    workers: int | None = None,
    settings: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> list[Evaluation]:
    """Measure models and write ``NAME.json``, ``NAME.npz`` and ``report.html`` into ``out``.

    Args:
        arguments: Configs, run folders, model folders or registered models.
        data: Labelled set; default is ``data.test`` of the first config.
        out: Folder for results.
        overrides: Dotted overrides for configs among the arguments; those of ``evaluation`` count for whatever is named.
        title: Of the report.
        workers: Ray tasks at a time; see ``jobs.cluster.predict``.
        settings: Fields of ``EvaluationConfig`` to be otherwise than the first config has them; None is as it has them.
        console: Where to print the table.

    Raises:
        LandmarkError: Anything a user can act on.
    """
    console, out = console or Console(), absolute(out)
    models = [find_trained(argument, overrides) for argument in arguments]
    first = models[0].config
    how = settings_of(first, overrides, settings or {})
    data = data or (first.data.test if first is not None else None)
    if data is None:
        raise ConfigError("no set to measure on: give --data FOLDER, or set data.test in the config")
    data = absolute(data)
    manifest = load_manifest(data)
    if manifest.role != "labelled" or manifest.markup is None:
        raise DataError(f"{data}: is an unlabelled set; measuring needs landmarks")
    for model in models:
        model.check_crop(manifest, data)
    asked = plan([model.description.layout for model in models], manifest, how)
    gpu = bool(first and first.cluster.gpu)
    own = first is not None and first.data.test is not None and absolute(first.data.test) == data
    evaluations, runs = [], []
    for perturbation in asked.perturbations:
        conditions = asked.conditions(perturbation)
        answers = predict([model.folder for model in models], data, gpu, workers, conditions)
        for own_name, model, answer, asked_so in zip(
            names_apart(models), models, answers, conditions, strict=True
        ):
            name = perturbed_name(own_name, perturbation)
            evaluation = measure(model, name, answer, manifest, how, own=own, conditions=asked_so)
            protocol.save(evaluation, join(out, f"{name}.json"))
            answer.save(join(out, f"{name}.npz"))
            curves = {}
            try:
                if model.tracked is not None:
                    model.tracked.log(evaluation, model.description.step)
                    curves = model.tracked.curves() if perturbation is None else {}
            except TrackingError as error:  # the numbers are worth having without it
                console.print(f"[yellow]the MLflow run of '{name}' cannot be read or added to: {error}")
            evaluations.append(evaluation)
            runs.append(reported(model, evaluation, answer, manifest, data, curves, conditions=asked_so))
    report = join(out, "report.html")
    build_report(
        runs,
        report,
        title=title or f"Facial landmarks: {evaluations[0].protocol_name}",
        notes=list(how.notes),
        reference_rows=[ReferenceRow(r.name, r.values, r.caveat, how.dataset) for r in how.references],
    )
    for table in [
        *tables.headline_tables(evaluations, console.width, undecided(runs)),
        *group_tables(evaluations[: len(models)]),
    ]:
        console.print(table)
    console.print(f"report: {report}", soft_wrap=True)
    return evaluations


if __name__ == "__main__":
    from jobs.cli import main

    main("evaluate")
