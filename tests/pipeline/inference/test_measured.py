"""What is measured is called what it is: by its own manifest, and by what the model has seen of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.evaluation.predictions import Predictions
from pipeline.inference.conditions import Conditions
from pipeline.inference.measured import measure, protocol_of, selection
from pipeline.inference.trained import TrainedModel
from pipeline.markup import load_markup
from pipeline.markup_meeting import meet
from pipeline.methods.model_file import ModelDescription
from pipeline.registry import Part
from pipeline.shards.identity import SetIdentity
from pipeline.shards.manifest import Manifest, load_manifest
from pipeline.training.config.evaluation import EvaluationConfig
from pipeline.training.config.experiment import ExperimentConfig

SETTINGS = EvaluationConfig(dataset="synthetic", subset="easy", normalisation="box")


@pytest.fixture
def sets(toy_sets) -> dict[str, Manifest]:
    return {name: load_manifest(str(toy_sets[name])) for name in ("train", "validation", "test")}


def model(sets: dict[str, Manifest], selected: str = "best", **changes) -> TrainedModel:
    description = ModelDescription(
        name="toy",
        model=Part(name="rcn"),
        loss=Part(name="laplace_kl"),
        markup="ibug68",
        num_landmarks=68,
        input_size=80,
        crop=sets["train"].crop,
        step=12,
        averaged=False,
        parameters=1,
        config_hash="0",
        seed=0,
        selected_on=SetIdentity.of(sets["validation"]) if selected == "best" else None,
        trained_on=(SetIdentity.of(sets["train"]),),
        extra={"selected": selected},
    )
    return TrainedModel("m", description.model_copy(update=changes), None)


def predictions(count: int = 3) -> Predictions:
    target_NK2 = np.random.default_rng(0).uniform(10, 70, (count, 68, 2))
    return Predictions(
        keys=np.array([f"face-{i}" for i in range(count)]),
        points_NK2=target_NK2 + 1.0,
        target_NK2=target_NK2,
        mask_NK=np.ones((count, 68), dtype=bool),
        scale_N=np.ones(count),
    )


def test_the_set_says_what_it_is_whatever_the_config_says(sets):
    real = sets["test"].model_copy(update={"dataset": "300w", "subset": "common"})
    for own in (True, False):
        protocol = protocol_of(SETTINGS, real, own=own)
        assert (protocol.dataset, protocol.subset, protocol.split) == ("300w", "common", "test")
        assert protocol.normalisation == "box"  # how it is measured is the config's to say
    whole = protocol_of(SETTINGS, sets["test"], own=True)
    assert (whole.dataset, whole.subset) == ("toy", None)


def test_an_older_set_is_unknown_but_to_the_config_whose_test_set_it_is(sets):
    older = sets["test"].model_copy(update={"dataset": None})
    given = protocol_of(SETTINGS, older, own=False)
    assert (given.dataset, given.subset) == ("unknown", None)
    named = protocol_of(SETTINGS, older, own=True)
    assert (named.dataset, named.subset) == ("synthetic", "easy")
    assert protocol_of(EvaluationConfig(), older, own=True).dataset == "unknown"


def test_what_chose_the_weights_is_never_called_held_out(sets):
    best = model(sets)
    assert selection(best, sets["validation"]) == ("toy: the very faces measured here", True)
    assert selection(best, sets["test"]) == ("toy: other faces than those measured here", False)
    assert selection(model(sets, "last"), sets["validation"]) == ("none: the last step's weights", False)


def test_of_an_older_model_the_config_tells_or_nothing_does(sets, toy_experiment, tmp_path):
    older = model(sets, selected_on=None)
    assert selection(older, sets["validation"]) == ("unknown", False)
    config = ExperimentConfig.model_validate(toy_experiment)
    known = TrainedModel("m", older.description, config)
    assert selection(known, sets["validation"])[1]
    gone = toy_experiment | {"data": toy_experiment["data"] | {"validation": str(tmp_path / "gone")}}
    lost = TrainedModel("m", older.description, ExperimentConfig.model_validate(gone))
    assert selection(lost, sets["validation"]) == ("unknown", False)


@pytest.mark.parametrize(
    ("name", "selected", "trained"),
    [("train", False, True), ("validation", True, False), ("test", False, False)],
)
def test_an_evaluation_is_stamped_with_what_the_model_has_seen(sets, name, selected, trained):
    manifest = sets[name]
    evaluation = measure(model(sets), "run", predictions(), manifest, SETTINGS, own=False)
    assert (evaluation.selected_on_test, evaluation.trained_on_test) == (selected, trained)
    assert evaluation.protocol_name.startswith(f"toy/{manifest.split} ")
    assert ("very faces measured here" in evaluation.provenance["selection_set"]) == selected


def test_trainings_that_differ_in_name_and_seed_alone_have_one_recipe(sets, toy_experiment):
    def recipe(**change) -> str | None:
        config = ExperimentConfig.model_validate(toy_experiment | change)
        known = TrainedModel("m", model(sets).description, config)
        evaluation = measure(known, "run", predictions(), sets["test"], SETTINGS, own=False)
        return evaluation.provenance["recipe"]

    first = recipe(name="a-s0", seed=0)
    assert recipe(name="a-s1", seed=1, evaluation={"normalisation": "box"}) == first
    assert recipe(name="a-s0", seed=0, input_size=96) != first
    unknown = measure(model(sets), "run", predictions(), sets["test"], SETTINGS, own=False)
    assert unknown.provenance["recipe"] is None


def test_a_mapped_measurement_says_which_way_and_how_far_off(sets):
    ibug, cofw = load_markup("ibug68"), load_markup("cofw29")
    conditions = Conditions(meet([ibug], ibug, cofw), flip=True)
    whole = predictions()
    mapped = replace(
        whole,
        points_NK2=whole.points_NK2[:, :29],
        target_NK2=whole.target_NK2[:, :29],
        mask_NK=np.tile(conditions.meeting.common_T, (3, 1)),
    )
    evaluation = measure(model(sets), "run", mapped, sets["test"], SETTINGS, own=False, conditions=conditions)
    assert evaluation.protocol_name.endswith("flip test · 25 landmarks of cofw29")
    assert evaluation.markup == "cofw29"
    # The truth is mapped like the predictions here: set and model have one markup.
    assert [(m.what, m.links, m.floors) for m in evaluation.mappings] == [
        ("truth", ("ibug68", "cofw29"), (2.1,)),
        ("predictions", ("ibug68", "cofw29"), (2.1,)),
    ]
