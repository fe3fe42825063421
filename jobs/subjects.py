"""What ``landmarks evaluate`` measures: trained models, found by config, run folder or model folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import yaml

from pipeline.errors import ConfigError, DataError, LandmarkError
from pipeline.methods.model_file import DESCRIPTION, ModelDescription, load_description
from pipeline.shards.manifest import Manifest, join, load_manifest, parent
from pipeline.storage import absolute, is_local
from pipeline.training.config.compose import compose, validate
from pipeline.training.config.experiment import ExperimentConfig, TrackingConfig
from pipeline.training.model_registry import SCHEME
from pipeline.training.run import run_folder_of
from pipeline.training.tracking import absolute_uri, check_store
from pipeline.training.unlabelled_faces import open_unlabelled

_CACHE = "outputs/models"
"""Where registered models are kept, a folder per version."""


@dataclass(frozen=True)
class Subject:
    """A model to be measured.

    Attributes:
        model: Folder of model.json.
        description: Its contents.
        run_folder: The run that trained it, or None for a model on its own.
        config: The run's resolved config, if known.
        tracked: Tracking address and id of its MLflow run, if known.
    """

    model: str
    description: ModelDescription
    run_folder: str | None
    config: ExperimentConfig | None
    tracked: tuple[str, str] | None = None


def _exists(url: str) -> bool:
    filesystem, path = fsspec.core.url_to_fs(url)
    return bool(filesystem.exists(path))


def find_subject(argument: str, overrides: Sequence[str] = ()) -> Subject:
    """Resolve what a user named: a config (its run), a run's folder, a model's folder, or a registered model.

    Raises:
        DataError: Nothing usable there; the message says what was looked for.
        ConfigError: The config is not valid.
        TrackingError: The registry cannot be reached.
    """
    if argument.startswith(SCHEME):
        return _registered(argument)
    folder = absolute(argument)
    if argument.endswith((".yaml", ".yml")):
        folder = run_folder_of(compose(argument, overrides, ExperimentConfig))
    if _exists(join(folder, DESCRIPTION)):
        above = parent(parent(folder))
        run_folder = above if _exists(join(above, "config.yaml")) else None
        return Subject(
            folder, load_description(folder), run_folder, _config_of(run_folder), _mlflow_run(run_folder)
        )
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
    return Subject(model, load_description(model), folder, config, _mlflow_run(folder))


def _config_of(run_folder: str | None) -> ExperimentConfig | None:
    if run_folder is None:
        return None
    url = join(run_folder, "config.yaml")
    with fsspec.open(url, "rt", encoding="utf-8") as file:
        return validate(yaml.safe_load(file), ExperimentConfig, url)


def subject_names(subjects: Sequence[Subject]) -> list[str]:
    """Run names, told apart where one run's models are compared with each other."""
    names = [s.description.name for s in subjects]
    if len(set(names)) == len(names):
        return names
    return [f"{n}-{Path(s.model).name}-{i}" for i, (n, s) in enumerate(zip(names, subjects, strict=True))]


def check_fits(subject: Subject, manifest: Manifest, data: str) -> None:
    """Refuse a set that a model was not made for.

    Raises:
        ConfigError: Another markup or another crop.
    """
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


def _registered(address: str) -> Subject:
    from pipeline.training.model_registry import fetch

    uri = TrackingConfig().uri
    check_store(TrackingConfig(uri=uri))
    cache = absolute(_CACHE)
    # Models are read from disk: with an object store as root they are kept where this process runs.
    model, run_id, text = fetch(address, uri, Path(cache if is_local(cache) else _CACHE).absolute())
    config = (
        validate(yaml.safe_load(text), ExperimentConfig, f"{address}: its run's config") if text else None
    )
    return Subject(model, load_description(model), None, config, (absolute_uri(uri), run_id))


def _mlflow_run(run_folder: str | None) -> tuple[str, str] | None:
    if run_folder is None or not _exists(join(run_folder, "mlflow.json")):
        return None
    with fsspec.open(join(run_folder, "mlflow.json"), "rt", encoding="utf-8") as file:
        known = json.load(file)
    return known["uri"], known["run_id"]


def tracking_client(subject: Subject) -> tuple[Any, str] | None:
    """MLflow client and run id of the run that trained a model, if there is one."""
    if subject.tracked is None:
        return None
    import mlflow

    uri, run_id = subject.tracked
    return mlflow.MlflowClient(tracking_uri=uri), run_id


def training_images(subject: Subject) -> int | None:
    """Images a model was trained on, labelled and unlabelled; None where that cannot be told any more."""
    config = subject.config
    if config is None:
        return None
    try:
        train = load_manifest(config.data.train)
        labelled = config.data.labelled_count or train.samples
        labelled += sum(load_manifest(extra.set).samples for extra in config.data.extra)
        if config.unlabelled.objective is None or config.data.unlabelled is None:
            return labelled
        return labelled + len(open_unlabelled(config.data, train).ordinals_N)
    except LandmarkError:
        return None  # the training set is gone; the number is a courtesy
