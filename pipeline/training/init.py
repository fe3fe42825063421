"""Starting from a trained model's weights, and knowing a run by them.

Weights alone are taken over, from safetensors: no step, no optimizer state, no pickle. What a run *is* contains the hash of these
weights and not where they lie, so a run that is moved stays the same and one whose source was trained anew does not resume.
"""

from __future__ import annotations

import hashlib
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import nn

from pipeline.errors import ConfigError, DataError
from pipeline.methods.build import make_generator
from pipeline.methods.model_file import DESCRIPTION, WEIGHTS, ModelDescription, load_description
from pipeline.shards.manifest import Manifest, join
from pipeline.storage import exists, open_binary
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.stored import stored_config


def model_folder(named: str) -> str:
    """The folder of ``model.json`` that a run's folder or a model's own stands for.

    Raises:
        DataError: Neither, or a run that is not finished.
    """
    if exists(join(named, DESCRIPTION)):
        return named
    if not exists(join(named, "config.yaml")):
        raise DataError(f"{named}: neither a run's folder (config.yaml) nor a model's ({DESCRIPTION})")
    if not exists(join(named, "finished.json")):
        raise DataError(
            f"{named}: the run is not finished; run 'landmarks train' again, or name its models/best to use it as it is"
        )
    config = stored_config(join(named, "config.yaml"))
    assert config is not None  # it is there
    return join(named, f"models/{config.training.select}")


def weights_sha256(model: str) -> str:
    """Hash of the weights of a run's or a model's folder.

    Raises:
        DataError: There are none.
    """
    return hashlib.sha256(_read_weights(model)).hexdigest()


def identified(config: ExperimentConfig) -> ExperimentConfig:
    """The config with the hash of the weights it starts from, by which the run is known.

    Raises:
        DataError: There are none.
    """
    if config.init is None:
        return config
    found = weights_sha256(config.init.model)
    return config.model_copy(update={"init": config.init.model_copy(update={"sha256": found})})


def check_init(config: ExperimentConfig, train: Manifest) -> None:
    """Refuse a model that is another network, or of other landmarks, than the run's.

    Raises:
        DataError: There is no model.
        ConfigError: Naming what differs.
    """
    assert config.init is not None  # the caller checked
    description = load_description(model_folder(config.init.model))
    where = f"init.model = {config.init.model}"
    if (description.markup, description.markup_definition) != (train.markup, train.markup_definition):
        raise ConfigError(
            f"{where}: predicts markup '{description.markup}', or another version of it, and data.train is labelled with "
            f"'{train.markup}'"
        )
    if description.model.name != config.model.name:
        raise ConfigError(
            f"{where}: its network is '{description.model.name}', the run's '{config.model.name}'"
        )
    load_weights(make_generator(config.model, train.layout, config.input_size), config)


def load_weights(generator: nn.Module, config: ExperimentConfig) -> None:
    """Put the weights into a network of the run's kind.

    Raises:
        DataError: They are not there, or others than when the run began.
        ConfigError: They do not fit: naming the parameters of the two models that differ, and the tensors.
    """
    assert config.init is not None  # the caller checked
    content = _read_weights(config.init.model)
    if config.init.sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise DataError(
            f"init.model = {config.init.model}: its weights have changed since the run began; bring them back, or start another"
        )
    try:
        weights = load_tensors(content)
    except SafetensorError as error:
        raise DataError(f"init.model = {config.init.model}: {WEIGHTS} is damaged: {error}") from error
    own = generator.state_dict()
    unlike = [
        f"{name} {_shape(weights.get(name))} → {_shape(own.get(name))}"
        for name in sorted(own.keys() | weights.keys())
        if name not in own or name not in weights or own[name].shape != weights[name].shape
    ]
    if unlike:
        description = load_description(model_folder(config.init.model))
        raise ConfigError(
            f"init.model = {config.init.model}: its weights do not fit the run's network: {_differences(description, config)}; "
            f"{len(unlike)} tensors differ, e.g. {'; '.join(unlike[:2])}"
        )
    generator.load_state_dict(weights)


def _read_weights(model: str) -> bytes:
    url = join(model_folder(model), WEIGHTS)
    try:
        with open_binary(url) as file:
            return bytes(file.read())
    except FileNotFoundError as error:
        raise DataError(f"init.model = {model}: {url} is not there") from error


def _differences(description: ModelDescription, config: ExperimentConfig) -> str:
    theirs, ours = description.model.parameters, config.model.parameters
    differing = [
        f"model.{key} is {theirs.get(key, 'the default')} there and {ours.get(key, 'the default')} here"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key) != ours.get(key)
    ]
    return ", ".join(differing) or "the models' parameters are the same, so another release made them"


def _shape(tensor: Any) -> str:
    return "none" if tensor is None else str(tuple(tensor.shape))
