"""What cannot be measured is refused before any model is asked; what is asked on the command line counts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.inference.conditions import plan, settings_of
from pipeline.markup import load_markup
from pipeline.shards.manifest import load_manifest
from pipeline.training.config.evaluation import EvaluationConfig
from pipeline.training.config.experiment import ExperimentConfig

IBUG = load_markup("ibug68")


@pytest.fixture
def manifest(toy_sets):
    return load_manifest(str(toy_sets["test"]))


def test_the_plan_asks_the_images_as_they_are_first(manifest):
    settings = EvaluationConfig(perturbations=("blur-large", "blur-large"), flip_test=True, box_noise=0.05)
    asked = plan([IBUG, IBUG], manifest, settings)
    assert asked.perturbations == (None, "blur-large")
    first, second = asked.conditions("blur-large")
    assert (first.place, second.place) == (0, 1)
    assert (second.flip, second.box_noise, second.perturbation) == (True, 0.05, "blur-large")
    assert first.predicted is None  # nothing to map


def test_each_model_is_mapped_by_its_own_markup(manifest):
    wflw, five = load_markup("wflw98"), EvaluationConfig(markup="mtfl5", normalisation="ocular")
    conditions = plan([IBUG, wflw], manifest, five).conditions(None)
    assert [c.predicted.links for c in conditions] == [("ibug68", "mtfl5"), ("wflw98", "mtfl5")]
    travelled = pickle.loads(pickle.dumps(conditions[1]))  # to a worker
    np.testing.assert_array_equal(travelled.predicted.weights_TS, conditions[1].predicted.weights_TS)


@pytest.mark.parametrize(
    ("settings", "markup", "message"),
    [
        (
            {"box_source": "detector"},
            "ibug68",
            "were placed by the landmarks; prepare the set with crop.points = detector",
        ),
        ({"markup": "wflw98"}, "ibug68", "cannot be measured in 'wflw98', with no landmark in common"),
        ({"markup": "wflw99"}, "ibug68", "no markup 'wflw99'"),
    ],
)
def test_what_cannot_be_is_refused(manifest, settings, markup, message):
    placed = manifest.model_copy(update={"crop": manifest.crop.model_copy(update={"points": "landmarks"})})
    with pytest.raises(ConfigError, match=message):
        plan([load_markup(markup)], placed, EvaluationConfig(**settings))


def test_a_size_that_neither_markup_defines_is_refused(manifest):
    five = manifest.model_copy(update={"markup": "mtfl5", "num_landmarks": 5})
    with pytest.raises(
        ConfigError, match=r"normalisation = ocular: markup 'mtfl5' of .* defines pupil, box, diagonal"
    ):
        plan([IBUG], five, EvaluationConfig())
    assert plan([IBUG], five, EvaluationConfig(normalisation="pupil")).meeting.markup.name == "mtfl5"


def test_overrides_reach_the_settings_whatever_was_named(toy_experiment):
    config = ExperimentConfig.model_validate(
        toy_experiment | {"evaluation": {"normalisation": "box", "subset": "easy"}}
    )
    overrides = ["evaluation.subset=hard", "evaluation.thresholds=[2.5, 10]", "training.steps=3"]
    got = settings_of(config, overrides, {"flip_test": True, "normalisation": None, "perturbations": None})
    assert (got.subset, got.normalisation, got.flip_test, got.thresholds) == ("hard", "box", True, (2.5, 10))
    assert settings_of(None, [], {}) == EvaluationConfig()
    for overrides, values, message in (
        (["evaluation.normalization=box"], {}, "did you mean 'normalisation'"),
        ([], {"perturbations": ["rain"]}, "perturbations"),
        ([], {"box_noise": 0.5}, "box_noise"),
        (["evaluation.thresholds=[0]"], {}, "above 0"),
        (["evaluation"], {}, "write it as dotted.key=value"),
    ):
        with pytest.raises(ConfigError, match=message):
            settings_of(config, overrides, values)
