"""``landmarks evaluate``: any number of trained models on one labelled set; numbers as JSON, one report that compares them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import yaml
from rich.console import Console

from jobs.progress import progress
from jobs.train import run_folder_of
from pipeline.config.compose import compose, validate
from pipeline.errors import ConfigError, DataError, LandmarkError
from pipeline.evaluation import console as tables
from pipeline.evaluation import protocol, provenance
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import Evaluation, Protocol
from pipeline.inference.model_file import DESCRIPTION, ModelDescription, load_description
from pipeline.markup import load_markup
from pipeline.shards.manifest import Manifest, join, load_manifest, manifest_url, parent
from pipeline.storage import absolute
from pipeline.training.config import EvaluationConfig, ExperimentConfig

PANEL_FACES = 2


@dataclass(frozen=True)
class Subject:
    """A model to be measured.

    Attributes:
        model: Folder of model.json.
        description: Its contents.
        run_folder: The run that trained it, or None for a model on its own.
        config: The run's resolved config, if known.
    """

    model: str
    description: ModelDescription
    run_folder: str | None
    config: ExperimentConfig | None


def _exists(url: str) -> bool:
    filesystem, path = fsspec.core.url_to_fs(url)
    return bool(filesystem.exists(path))


def find_subject(argument: str, overrides: Sequence[str] = ()) -> Subject:
    """Resolve what a user named: a config (its run), a run's folder, or a model's folder.

    Raises:
        DataError: Nothing usable there; the message says what was looked for.
        ConfigError: The config is not valid.
    """
    folder = absolute(argument)
    if argument.endswith((".yaml", ".yml")):
        folder = run_folder_of(compose(argument, overrides, ExperimentConfig))
    if _exists(join(folder, DESCRIPTION)):
        above = parent(parent(folder))
        run_folder = above if _exists(join(above, "config.yaml")) else None
        return Subject(folder, load_description(folder), run_folder, _config_of(run_folder))
    config = _config_of(folder if _exists(join(folder, "config.yaml")) else None)
    if config is None:
        raise DataError(
            f"{folder}: neither a run's folder (config.yaml) nor a model's ({DESCRIPTION}); train it first"
        )
    if not _exists(join(folder, "finished.json")):
        raise DataError(
            f"{folder}: the run is not finished; run 'landmarks train' again, or name its models/best to look at it early"
        )
    model = join(folder, f"models/{config.training.select}")
    return Subject(model, load_description(model), folder, config)


def _config_of(run_folder: str | None) -> ExperimentConfig | None:
    if run_folder is None:
        return None
    url = join(run_folder, "config.yaml")
    with fsspec.open(url, "rt", encoding="utf-8") as file:
        return validate(yaml.safe_load(file), ExperimentConfig, url)


def _predict_remote(model: str, manifest: Manifest, folder: str, shard: int, threads: int) -> Predictions:
    import torch

    from pipeline.inference.model_file import load_model
    from pipeline.inference.predict_set import predict_shard

    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return predict_shard(load_model(model, device), manifest, folder, shard, device)


def predict(subjects: Sequence[Subject], data: str, gpu: bool = False) -> list[Predictions]:
    """Every model on every shard, as Ray tasks; results in the manifest's order."""
    import ray

    from jobs.cluster import ray_session
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
    console = console or Console()
    subjects = [find_subject(a, overrides) for a in arguments]
    names = _names(subjects)
    first = subjects[0].config
    settings = first.evaluation if first is not None else EvaluationConfig()
    chosen = data or (first.data.test if first is not None else None)
    if chosen is None:
        raise ConfigError("no set to measure on: give --data FOLDER, or set data.test in the config")
    chosen = absolute(chosen)
    manifest = load_manifest(chosen)
    if manifest.role != "labelled" or manifest.markup is None:
        raise DataError(f"{chosen}: is an unlabelled set; measuring needs landmarks")
    markup = load_markup(manifest.markup)
    for subject in subjects:
        _check_fits(subject, manifest, chosen)
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
    _report(subjects, names, evaluations, predictions, settings, chosen, join(out, "report.html"), title)
    for table in tables.headline_tables(evaluations):
        console.print(table)
    console.print(f"report: {join(absolute(out), 'report.html')}", soft_wrap=True)
    return evaluations


def _names(subjects: Sequence[Subject]) -> list[str]:
    names = [s.description.name for s in subjects]
    if len(set(names)) == len(names):
        return names
    return [f"{n}-{Path(s.model).name}-{i}" for i, (n, s) in enumerate(zip(names, subjects, strict=True))]


def _check_fits(subject: Subject, manifest: Manifest, data: str) -> None:
    description = subject.description
    if description.markup != manifest.markup:
        raise ConfigError(
            f"{subject.model} predicts markup '{description.markup}', {data} is labelled with '{manifest.markup}'"
        )
    if description.crop.side_factor != manifest.crop.side_factor:
        raise ConfigError(
            f"{data} is cropped with side_factor {manifest.crop.side_factor}, {subject.model} was trained on "
            f"{description.crop.side_factor}: prepare the set alike"
        )


def _client(subject: Subject) -> tuple[Any, str] | None:
    """MLflow client and run id of the run that trained a model, if there is one."""
    if subject.run_folder is None or not _exists(join(subject.run_folder, "mlflow.json")):
        return None
    import mlflow

    with fsspec.open(join(subject.run_folder, "mlflow.json"), "rt", encoding="utf-8") as file:
        known = json.load(file)
    return mlflow.MlflowClient(tracking_uri=known["uri"]), known["run_id"]


def _track(subject: Subject, evaluation: Evaluation, console: Console) -> None:
    tracked = _client(subject)
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
    tracked = _client(subject)
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
                curves=_curves(subject),
                parameters=subject.description.parameters,
                steps=subject.description.step,
                images=_images(subject),
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


def _images(subject: Subject) -> int | None:
    config = subject.config
    if config is None:
        return None
    try:
        labelled = config.data.labelled_count or load_manifest(config.data.train).samples
        if config.unlabelled.objective is None or config.data.unlabelled is None:
            return labelled
        return labelled + (config.data.unlabelled_count or load_manifest(config.data.unlabelled).samples)
    except LandmarkError:
        return None  # the training set is gone; the number is a courtesy
