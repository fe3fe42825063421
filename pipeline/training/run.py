"""A run: claimed by its config, ready to train, and closed with its models handed to MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from pipeline.errors import TrainingError
from pipeline.ownership import owned
from pipeline.plain import flatten
from pipeline.shards.manifest import join
from pipeline.storage import absolute, read_text, require_free_space
from pipeline.training.checkpoint import RunState
from pipeline.training.claim import FINISHED, claim_run
from pipeline.training.config.compose import to_yaml
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.init import identified
from pipeline.training.plan import Plan, make_plan
from pipeline.training.tracking import Tracker

RENAME = "choose another name=…"
_MAX_CHECKPOINT_BYTES_PER_PARAMETER = 20


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run hands on.

    Attributes:
        run_folder: Holds config.yaml, models/best, models/last, finished.json.
        model: Folder of the selected model.
        best: Best validation NME, %, or None without a validation set.
        best_step: When.
        steps: Steps done.
        seconds: Training time, over all restarts.
        mlflow_run: Run id.
    """

    run_folder: str
    model: str
    best: float | None
    best_step: int | None
    steps: int
    seconds: float
    mlflow_run: str


def with_absolute_paths(config: ExperimentConfig) -> ExperimentConfig:
    """Workers change directory, so every path is made absolute in the driver."""
    raw = config.model_dump(mode="json")
    raw["data"] = config.data.with_absolute_paths().model_dump(mode="json")
    raw["cluster"]["storage"] = absolute(raw["cluster"]["storage"])
    if config.init is not None:
        raw["init"]["model"] = absolute(config.init.model)
    return ExperimentConfig.model_validate(raw)


def run_folder_of(config: ExperimentConfig) -> str:
    """Folder of a run: storage/name."""
    return join(absolute(config.cluster.storage), config.name)


def owned_run(config: ExperimentConfig, say: Callable[[str], None] = print) -> AbstractContextManager[None]:
    """Own a run's folder while it is trained, or closed.

    Args:
        config: Of the run.
        say: Takes the word about a killed process whose folder is taken over.

    Raises:
        OwnedError: Another process trains a run of this name.
        StorageError: The folder cannot be written.
    """
    return owned(run_folder_of(config), f"run '{config.name}'", RENAME, say)


@dataclass(frozen=True)
class Run:
    """A run that is ready to train: everything that could fail without a process has been tried.

    Attributes:
        config: With absolute paths.
        plan: Derived quantities.
        folder: storage/name.
        config_hash: Hash of what the run computes.
        parameters: Trainable ones of the generator.
        finished: Where it stood at its end, if it has finished.
        notes: What there is to tell its user.
    """

    config: ExperimentConfig
    plan: Plan
    folder: str
    config_hash: str
    parameters: int
    finished: dict[str, Any] | None
    notes: tuple[str, ...] = ()

    def tracker(self, verb: str = "train", parent: str | None = None, **tags: str) -> Tracker:
        """Begin, or continue, the run's MLflow run; a finished run's keeps the end it has."""
        parameters = flatten(
            self.config.model_dump(mode="json", exclude={"prepare", "tune", "scale", "selftrain"})
        )
        tracker = Tracker(
            self.config.tracking,
            self.config.name,
            self.folder,
            parameters | {"plan.steps": self.plan.steps, "plan.parameters": self.parameters},
            {"landmarks.config_hash": self.config_hash, "landmarks.verb": verb, **tags},
            parent,
        )
        if self.finished is None:
            tracker.resume()
        return tracker

    def state(self) -> dict[str, Any] | None:
        """What the workers wrote when they finished; None before that.

        Raises:
            TrainingError: It is damaged.
        """
        url = join(self.folder, FINISHED)
        try:
            text = read_text(url)
            return None if text is None else RunState.model_validate(json.loads(text)).model_dump(mode="json")
        except ValueError as error:  # ValidationError and no UTF-8 are ValueErrors
            raise TrainingError(
                f"{url}: damaged ({type(error).__name__}); remove it: the same command then goes on from the last checkpoint, "
                "the run's end, and writes it again"
            ) from error


def ready(config: ExperimentConfig) -> Run:
    """Check a run and claim its folder.

    Raises:
        LandmarkError: Bad config or sets, a full disk, a folder that holds a run of another config.
    """
    config = identified(with_absolute_paths(config))
    plan = make_plan(config)
    folder = run_folder_of(config)
    assert plan.networks is not None  # make_plan checked them
    parameters = plan.networks.generator
    require_free_space(
        folder, parameters * _MAX_CHECKPOINT_BYTES_PER_PARAMETER * 4 + 2**26, "checkpoints of this run"
    )
    own, notes = claim_run(config, plan, folder)
    run = Run(config, plan, folder, own, parameters, None, notes)
    return replace(run, finished=run.state())


def close(run: Run, tracker: Tracker) -> TrainingResult:
    """Hand a finished run's config and models to MLflow, unless it has them, and end its MLflow run.

    Raises:
        TrainingError: It has not finished.
    """
    state = run.state()
    if state is None:
        raise TrainingError(
            f"{run.folder}: the workers ended without finishing the run; run the same command again to resume"
        )
    # Asked of MLflow, not of this process: an earlier command may have ended between the last step and here.
    if not tracker.has("models"):
        tracker.text(to_yaml(run.config), "config.yaml")
        tracker.file(join(run.folder, "models"), "models")
    tracker.end("FINISHED")
    return TrainingResult(
        run_folder=run.folder,
        model=join(run.folder, f"models/{run.config.training.select}"),
        best=state["best"],
        best_step=state["best_step"],
        steps=state["step"],
        seconds=state["seconds"],
        mlflow_run=tracker.run_id,
    )


def register_best(run: Run, result: TrainingResult, name: str | None = None) -> str:
    """Register a finished run's model; returns what to tell the user.

    Raises:
        TrackingError: The registry refuses.
    """
    from pipeline.training.model_registry import register

    tracking, validation = run.config.tracking, run.plan.validation
    name = name or tracking.register_as
    assert name is not None  # the caller asked for it
    version, aliased = register(
        tracking.uri,
        result.mlflow_run,
        f"models/{run.config.training.select}",
        name,
        tracking.alias,
        nme=result.best,
        split=validation.config_hash if validation is not None else "none",
    )
    if aliased:
        return f"registered: models:/{name}@{tracking.alias} is version {version}"
    return (
        f"registered: version {version} of '{name}'; models:/{name}@{tracking.alias} stays where it is, as this one's error on "
        "the held-out split is not lower, or was measured on another split"
    )
