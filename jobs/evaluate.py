"""``landmarks evaluate``: any number of trained models on one labelled set; numbers as JSON, one report that compares them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from jobs.cluster.progress import progress
from jobs.subjects import (
    Subject,
    check_fits,
    find_subject,
    subject_names,
    tracking_client,
    training_images,
)
from pipeline.errors import ConfigError, DataError, LandmarkError
from pipeline.evaluation import console as tables
from pipeline.evaluation import protocol, provenance
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import Evaluation, Protocol
from pipeline.markup import Markup
from pipeline.shards.manifest import Manifest, join, load_manifest, manifest_url, parent
from pipeline.storage import absolute
from pipeline.training.config.experiment import EvaluationConfig

PANEL_FACES = 2


def _predict_remote(model: str, manifest: Manifest, folder: str, shard: int, threads: int) -> Predictions:
    import torch

    from pipeline.inference.predict_set import predict_shard
    from pipeline.methods.model_file import load_model

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # see pipeline.training.engines
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return predict_shard(load_model(model, device), manifest, folder, shard, device)


def predict(subjects: Sequence[Subject], data: str, gpu: bool = False) -> list[Predictions]:
    """Every model on every shard, as Ray tasks; results in the manifest's order."""
    import ray

    from jobs.cluster.session import ray_session
    from pipeline.inference.predict_set import concatenate

    manifest, folder = load_manifest(data), parent(manifest_url(data))
    with ray_session():
        remote = ray.remote(num_cpus=1, num_gpus=0.25 if gpu else 0)(_predict_remote)
        pending = {
            remote.remote(subject.model, manifest, folder, shard, 1): (place, shard)
            for place, subject in enumerate(subjects)
            for shard in range(len(manifest.shards))
        }
        results: dict[tuple[int, int], Predictions] = {}
        with progress("evaluate", manifest.samples * len(subjects), unit="faces") as advance:
            while pending:
                done, _ = ray.wait(list(pending), num_returns=1)
                place = pending.pop(done[0])
                try:
                    results[place] = ray.get(done[0])
                except ray.exceptions.RayTaskError as error:
                    if isinstance(error.cause, LandmarkError):
                        raise error.cause from error
                    raise
                advance(len(results[place]))
    return [
        concatenate([results[i, shard] for shard in range(len(manifest.shards))])
        for i in range(len(subjects))
    ]


def evaluate(
    arguments: Sequence[str],
    *,
    data: str | None = None,
    out: str,
    overrides: Sequence[str] = (),
    title: str | None = None,
    console: Console | None = None,
) -> list[Evaluation]:
    """Measure models and write ``NAME.json``, ``NAME.npz`` and ``report.html`` into ``out``.

    Args:
        arguments: Configs, run folders or model folders.
        data: Labelled set; default is ``data.test`` of the first config.
        out: Folder for results.
        overrides: Dotted overrides for configs among the arguments.
        title: Of the report.
        console: Where to print the table.

    Raises:
        LandmarkError: Anything a user can act on.
    """
    console, out = console or Console(), absolute(out)
    subjects = [find_subject(a, overrides) for a in arguments]
    names = subject_names(subjects)
    first = subjects[0].config
    settings = first.evaluation if first is not None else EvaluationConfig()
    chosen = data or (first.data.test if first is not None else None)
    if chosen is None:
        raise ConfigError("no set to measure on: give --data FOLDER, or set data.test in the config")
    chosen = absolute(chosen)
    manifest = load_manifest(chosen)
    if manifest.role != "labelled" or manifest.markup is None:
        raise DataError(f"{chosen}: is an unlabelled set; measuring needs landmarks")
    markup = manifest.layout
    for subject in subjects:
        check_fits(subject, manifest, chosen)
    measured = Protocol(
        dataset=settings.dataset or manifest.name,
        subset=settings.subset,
        split=manifest.split,
        normalisation=settings.normalisation,
        box_source=manifest.crop.points,
    )
    predictions = predict(subjects, chosen, gpu=bool(first and first.cluster.gpu))
    evaluations = []
    for name, subject, answer in zip(names, subjects, predictions, strict=True):
        description = subject.description
        source = provenance.collect(
            description.config_hash,
            description.seed,
            checkpoint=subject.model,
            step=description.step,
            selection=description.extra.get("selected", "unknown"),
            selection_set="validation, held out of the training set",
            data=manifest.name,
            data_config_hash=manifest.config_hash,
        )
        evaluation = protocol.evaluate(answer, markup, measured, run=name, provenance=source)
        protocol.save(evaluation, join(out, f"{name}.json"))
        answer.save(join(out, f"{name}.npz"))
        evaluations.append(evaluation)
        _track(subject, evaluation, console)
    report = join(out, "report.html")
    _report(subjects, names, evaluations, predictions, settings, chosen, markup, report, title)
    for table in tables.headline_tables(evaluations, console.width):
        console.print(table)
    console.print(f"report: {join(out, 'report.html')}", soft_wrap=True)
    return evaluations


def _track(subject: Subject, evaluation: Evaluation, console: Console) -> None:
    tracked = tracking_client(subject)
    if tracked is None:
        return
    from mlflow.exceptions import MlflowException

    client, run_id = tracked
    prefix = f"{evaluation.protocol.split}/{evaluation.protocol.dataset}"
    try:
        for name, summary in evaluation.errors.items():
            if summary.nme is not None:
                client.log_metric(run_id, f"{prefix}/nme_{name}", summary.nme, step=subject.description.step)
        client.log_text(run_id, protocol.dump(evaluation), f"evaluation/{evaluation.protocol.dataset}.json")
    except MlflowException as error:
        console.print(f"[yellow]the numbers of '{evaluation.run}' were not logged to MLflow: {error}")


def _curves(subject: Subject) -> dict[str, tuple[list[float], list[float]]]:
    """Training curves from the run's MLflow history."""
    tracked = tracking_client(subject)
    if tracked is None:
        return {}
    client, run_id = tracked
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for key, label in (
        ("train/loss", "training loss"),
        ("validation/nme", "validation NME, %"),
        ("validation/scatter", "validation scatter, px"),
    ):
        # A restart logs the steps since its checkpoint again; the last value of a step counts.
        points = {m.step: m.value for m in client.get_metric_history(run_id, key)}
        if points:
            curves[label] = ([float(s) for s in sorted(points)], [points[s] for s in sorted(points)])
    return curves


def _report(
    subjects: Sequence[Subject],
    names: Sequence[str],
    evaluations: Sequence[Evaluation],
    predictions: Sequence[Predictions],
    settings: EvaluationConfig,
    data: str,
    markup: Markup,
    out: str,
    title: str | None,
) -> None:
    from pipeline.evaluation.report import ReferenceRow, RunReport, build_report
    from pipeline.inference.panels import heatmap_panels

    runs = []
    for subject, name, evaluation, answer in zip(subjects, names, evaluations, predictions, strict=True):
        runs.append(
            RunReport(
                name=name,
                evaluation=evaluation,
                predictions=answer,
                markup=markup,
                curves=_curves(subject),
                parameters=subject.description.parameters,
                steps=subject.description.step,
                images=training_images(subject),
                heatmap_panels=heatmap_panels(subject.model, data, PANEL_FACES),
            )
        )
    references = [ReferenceRow(r.name, r.values, r.caveat, settings.dataset) for r in settings.references]
    build_report(
        runs,
        out,
        title=title or f"Facial landmarks: {evaluations[0].protocol_name}",
        notes=list(settings.notes),
        reference_rows=references,
    )
