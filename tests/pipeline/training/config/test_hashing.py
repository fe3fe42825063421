"""The hash of a config names what is computed, and keeps naming it when there are new keys."""

from __future__ import annotations

import hashlib
import json

import pytest

from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import YOUNGER, config_hash


@pytest.fixture
def experiment(toy_experiment):
    """Makes the experiment with sections changed."""

    def make(**sections) -> ExperimentConfig:
        raw = {name: toy_experiment.get(name, {}) | section for name, section in sections.items()}
        return ExperimentConfig.model_validate(toy_experiment | raw)

    return make


def test_the_hash_names_what_is_computed(experiment):
    where = frozenset({"cluster"})
    moved, other = experiment(cluster={"workers": 4}), experiment(training={"batch": 4})
    assert config_hash(experiment(), where) == config_hash(moved, where) != config_hash(other, where)
    assert config_hash(experiment()) != config_hash(moved)
    assert config_hash(experiment(), frozenset({"training.batch"})) == config_hash(
        other, frozenset({"training.batch"})
    )
    assert len(config_hash(other)) == 12
    int(config_hash(other), 16)


def test_a_run_that_is_older_than_a_key_keeps_its_hash(experiment):
    raw = experiment().model_dump(mode="json")
    for key in ("accumulate", "channels_last", "compile"):
        del raw["training"][key]
    raw["data"]["decode_threads"] = 1
    older = hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:12]
    assert config_hash(experiment()) == config_hash(experiment(data={"decode_threads": 1})) == older
    assert config_hash(experiment(data={"decode_threads": 2})) != older
    assert config_hash(experiment(training={"accumulate": 2})) != older


def test_the_younger_keys_are_there_with_these_defaults(experiment):
    raw = experiment().model_dump(mode="json")
    for key, (default, _) in YOUNGER.items():
        section, name = key.split(".")
        assert raw[section][name] == default, key
