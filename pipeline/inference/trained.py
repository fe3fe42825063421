"""Trained models, found by what a user names: a config, a run's folder, a model's folder or a registered model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipeline.errors import ConfigError, DataError, LandmarkError
from pipeline.inference.tracked import TrackedRun, tracked_run
from pipeline.methods.model_file import DESCRIPTION, ModelDescription, load_description
from pipeline.shards.manifest import Manifest, join, load_manifest, parent
from pipeline.storage import absolute, exists, is_local
from pipeline.training.config.compose import compose, validate
from pipeline.training.config.experiment import ExperimentConfig, TrackingConfig
from pipeline.training.config.stored import stored_config
from pipeline.training.model_registry import SCHEME
from pipeline.training.run import run_folder_of
from pipeline.training.tracking_store import absolute_uri, check_store
from pipeline.training.unlabelled_faces import open_unlabelled

_CACHE = "outputs/models"
"""Where registered models are kept, a folder per version."""


@dataclass(frozen=True)
class TrainedModel:
    """A model, and what is known of how it was made.

    Attributes:
        folder: Of model.json.
        description: Its contents.
        config: The resolved config of the run that trained it, if known.
        tracked: Its MLflow run, if known.
    """

    folder: str
    description: ModelDescription
    config: ExperimentConfig | None
    tracked: TrackedRun | None = None

    @property
    def name(self) -> str:
        """Of the run that trained it."""
        return self.description.name

    def check_fits(self, manifest: Manifest, data: str) -> None:
        """Refuse a set that the model was not made for.

        Args:
            manifest: Of the set.
            data: Where it lies, for the message.

        Raises:
            ConfigError: Another markup or another crop.
        """
        description = self.description
        if description.markup != manifest.markup:
            raise ConfigError(
                f"{self.folder} predicts markup '{description.markup}', {data} is labelled with '{manifest.markup}'"
            )
        self.check_crop(manifest, data)

    def check_crop(self, manifest: Manifest, data: str) -> None:
        """Refuse a set that is cropped otherwise than what the model was trained on. Arguments and errors as ``check_fits``."""
        description = self.description
        if description.crop.side_factor != manifest.crop.side_factor:
            raise ConfigError(
                f"{data} is cropped with side_factor {manifest.crop.side_factor}, {self.folder} was trained on "
                f"{description.crop.side_factor}: prepare the set alike"
            )

    def training_images(self) -> int | None:
        """Images it was trained on, labelled and unlabelled; None where that cannot be told any more."""
        if self.config is None:
            return None
        data = self.config.data
        try:
            train = load_manifest(data.train)
            labelled = data.labelled_count or train.samples
            labelled += sum(load_manifest(extra.set).samples for extra in data.extra)
            if not self.config.unlabelled.active or data.unlabelled is None:
                return labelled
            return labelled + len(open_unlabelled(data, train).chosen)
        except LandmarkError:
            return None  # the training set is gone; the number is a courtesy


def find_trained(argument: str, overrides: Sequence[str] = ()) -> TrainedModel:
    """The model behind what a user named: a config (its run's), a run's folder, a model's folder, or a registered one.

    Args:
        argument: What was named.
        overrides: Dotted overrides, where it is a config.

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
    if exists(join(folder, DESCRIPTION)):
        run_folder = parent(parent(folder))
        config = _config_of(run_folder)
        return TrainedModel(
            folder, load_description(folder), config, None if config is None else tracked_run(run_folder)
        )
    config = _config_of(folder)
    if config is None:
        raise DataError(
            f"{folder}: neither a run's folder (config.yaml) nor a model's ({DESCRIPTION}); train it first"
        )
    if not exists(join(folder, "finished.json")):
        raise DataError(
            f"{folder}: the run is not finished; run 'landmarks train' again, or name its models/best to look at it early"
        )
    model = join(folder, f"models/{config.training.select}")
    return TrainedModel(model, load_description(model), config, tracked_run(folder))


def _config_of(run_folder: str) -> ExperimentConfig | None:
    return stored_config(join(run_folder, "config.yaml"))


def _registered(address: str) -> TrainedModel:
    from pipeline.training.model_registry import fetch

    uri = TrackingConfig().uri
    check_store(TrackingConfig(uri=uri))
    cache = absolute(_CACHE)
    # Models are read from disk: with an object store as root they are kept where this process runs.
    model, run_id, text = fetch(address, uri, Path(cache if is_local(cache) else _CACHE).absolute())
    config = (
        validate(yaml.safe_load(text), ExperimentConfig, f"{address}: its run's config") if text else None
    )
    return TrainedModel(model, load_description(model), config, TrackedRun(absolute_uri(uri), run_id))


def names_apart(models: Sequence[TrainedModel]) -> list[str]:
    """The models' names, told apart where one run's models are compared with each other."""
    names = [model.name for model in models]
    if len(set(names)) == len(names):
        return names
    return [f"{m.name}-{Path(m.folder).name}-{i}" for i, m in enumerate(models)]
