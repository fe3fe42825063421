"""The MLflow run of a whole search or study, under which its runs stand."""

from __future__ import annotations

from typing import Literal

from pipeline.plain import flatten
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.identity import WHERE
from pipeline.training.tracking import Tracker


def parent_tracker(config: ExperimentConfig, folder: str, verb: Literal["tune", "scale"]) -> Tracker:
    """Begin, or continue, the MLflow run of a search or study; its parameters are its section's.

    Raises:
        TrackingError: The store cannot be used.
    """
    parameters = flatten(getattr(config, verb).model_dump(mode="json"), f"{verb}.")
    tags = {"landmarks.verb": verb, "landmarks.config_hash": config_hash(config, WHERE)}
    return Tracker(config.tracking, config.name, folder, parameters, tags)
