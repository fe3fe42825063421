"""What a run will do: arithmetic by hand, and sets that do not fit each other."""

import json
from itertools import islice

import pytest

from pipeline.errors import ConfigError, ManifestError
from pipeline.markup import load_markup
from pipeline.training.build import build_generator, count_parameters
from pipeline.training.config.compose import validate
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.plan import derive, make_plan, orders


@pytest.fixture(scope="module")
def experiment(toy_sets):
    def make(data=None, objective=False, **sections) -> ExperimentConfig:
        raw = {
            "name": "x",
            "data": {
                "train": str(toy_sets["train"]),
                "validation": str(toy_sets["validation"]),
                "unlabelled": str(toy_sets["unlabelled"]),
                "streams": 4,
                **(data or {}),
            },
            "training": {"batch": 8, "epochs": 3},
            "unlabelled": {"objective": {"name": "adversarial"} if objective else None},
        }
        for key, value in sections.items():
            raw[key] = raw.get(key, {}) | value
        return validate(raw, ExperimentConfig, "x.yaml")

    return make


def test_steps_of_epochs(experiment):
    plan = derive(experiment())
    assert plan.steps_per_epoch == 7.5  # 60 faces, 8 a step
    assert plan.steps == 22  # 22.5, and no half step
    assert (plan.validate_steps, plan.checkpoint_steps, plan.image_steps) == (8, 8, 38)
    assert (plan.labelled, plan.unlabelled_faces) == (60, 0)
    assert plan.unlabelled is None
    assert plan.markup.name == "ibug68"


def test_steps_of_a_subset(experiment):
    plan = derive(experiment(data={"labelled_count": 24}, training={"validate_every": 2, "epochs": 10}))
    assert (plan.labelled, plan.steps, plan.validate_steps) == (24, 30, 6)
    intervals = {"validate_every": 20, "checkpoint_every": 40.4, "image_every": 0.1}
    plan = derive(experiment(data={"labelled_count": 24}, training={"cadence": "steps"} | intervals))
    assert (plan.validate_steps, plan.checkpoint_steps, plan.image_steps) == (20, 40, 1)


def test_steps_as_given(experiment):
    plan = derive(experiment(training={"epochs": None, "steps": 5, "validate_every": 0.01}))
    assert (plan.steps, plan.validate_steps) == (5, 1)


def test_a_run_is_at_least_one_step(experiment):
    assert derive(experiment(training={"epochs": 0.001})).steps == 1


def test_due_at_every_interval_and_at_the_end(experiment):
    plan = derive(experiment(training={"epochs": None, "steps": 10}))
    assert [s for s in range(1, 11) if plan.due(s, 4)] == [4, 8, 10]
    assert [s for s in range(1, 11) if plan.due(s, 5)] == [5, 10]
    assert [s for s in range(1, 11) if plan.due(s, 99)] == [10]


def test_unlabelled_faces_are_counted_only_when_they_are_used(experiment):
    assert derive(experiment(objective=True)).unlabelled_faces == 90
    assert derive(experiment(objective=True, data={"unlabelled_count": 33})).unlabelled_faces == 33
    plan = derive(experiment(objective=False, data={"unlabelled": "/nowhere/at/all"}))
    assert plan.unlabelled is None


def edited(folder, source, **changes) -> str:
    """A manifest at odds with another: same tars, other statements."""
    folder.mkdir()
    raw = json.loads((source / "manifest.json").read_text())
    raw["crop"] |= changes.pop("crop", {})
    (folder / "manifest.json").write_text(json.dumps(raw | changes))
    return str(folder)


def test_sets_of_the_wrong_role(experiment, toy_sets):
    with pytest.raises(
        ManifestError, match=r"data.train = .*: is a unlabelled set, a labelled one is needed"
    ):
        derive(experiment(data={"train": str(toy_sets["unlabelled"])}))
    with pytest.raises(ManifestError, match=r"data.validation = .*: is a unlabelled set"):
        derive(experiment(data={"validation": str(toy_sets["unlabelled"])}))
    with pytest.raises(ManifestError, match=r"data.unlabelled = .*: is a labelled set"):
        derive(experiment(objective=True, data={"unlabelled": str(toy_sets["train"])}))


def test_a_missing_set(experiment):
    with pytest.raises(ManifestError, match=r"nowhere/manifest.json: no such manifest"):
        derive(experiment(data={"train": "nowhere"}))


@pytest.mark.parametrize("field", ["train", "validation"])
def test_a_test_set_is_for_testing(experiment, toy_sets, field):
    with pytest.raises(ConfigError, match=f"data.{field} is the test set 'toy': never train or select"):
        derive(experiment(data={field: str(toy_sets["test"])}))


def test_unlabelled_faces_of_a_test_set_are_test_faces_too(experiment, toy_sets, tmp_path):
    url = edited(tmp_path / "u", toy_sets["unlabelled"], split="test")
    with pytest.raises(ConfigError, match="data.unlabelled is the test set 'toy': never train or select"):
        derive(experiment(objective=True, data={"unlabelled": url}))


def test_one_set_cannot_train_and_select(experiment, toy_sets):
    with pytest.raises(ConfigError, match=r"data.train and data.validation are the same set"):
        derive(experiment(data={"validation": f"{toy_sets['train']}/manifest.json"}))


@pytest.mark.parametrize(("field", "role"), [("validation", "validation"), ("unlabelled", "unlabelled")])
def test_differing_crops(experiment, toy_sets, tmp_path, field, role):
    url = edited(tmp_path / "o", toy_sets[role], crop={"side_factor": 2.5})
    with pytest.raises(
        ConfigError, match=f"data.{field} was cropped with side_factor 2.5, data.train with 3.0"
    ):
        derive(experiment(objective=True, data={field: url}))


def test_differing_markups(experiment, toy_sets, tmp_path):
    url = edited(tmp_path / "o", toy_sets["validation"], markup="wflw98")
    with pytest.raises(ConfigError, match="data.validation has markup 'wflw98', data.train 'ibug68'"):
        derive(experiment(data={"validation": url}))


@pytest.mark.parametrize("field", ["train", "validation"])
def test_a_manifest_at_odds_with_its_markup(experiment, toy_sets, tmp_path, field):
    url = edited(tmp_path / "o", toy_sets[field], num_landmarks=5)
    with pytest.raises(ManifestError, match=f"data.{field} .* 5 landmarks, its markup 'ibug68' has 68"):
        derive(experiment(data={field: url}))


def test_workers_must_divide_streams_and_batch(experiment):
    with pytest.raises(ConfigError, match="3 workers do not divide data.streams = 4"):
        derive(experiment(cluster={"workers": 3}, training={"batch": 9}))
    with pytest.raises(ConfigError, match="batch of 9 cannot be shared evenly by 2 workers"):
        derive(experiment(cluster={"workers": 2}, training={"batch": 9}))


def test_more_faces_than_there_are(experiment):
    with pytest.raises(ConfigError, match="data.labelled_count = 61: the set 'toy' holds 60"):
        derive(experiment(data={"labelled_count": 61}))
    with pytest.raises(ConfigError, match="data.unlabelled_count = 91: there are 90 unlabelled faces"):
        derive(experiment(objective=True, data={"unlabelled_count": 91}))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"unlabelled": {"objective": {"name": "adversarial", "discriminator": {"name": "patchgan", "widht": 8}}}},
            "discriminator 'patchgan' has no parameter 'widht'; did you mean 'width'?",
        ),
        ({"model": {"name": "rcn", "width": 0}}, "width .0. must be at least 1"),
        ({"model": {"name": "rcn", "dropout": 1.5}}, "dropout is 1.5"),
        ({"loss": {"name": "laplace_kl", "true_scale": -1.0}}, "true_scale is -1.0"),
    ],
)  # fmt: skip
def test_values_that_a_part_refuses_fail_before_any_process_starts(experiment, sections, message):
    with pytest.raises(ConfigError, match=message):
        make_plan(experiment(**sections))


def test_orders_cover_what_the_plan_counts(experiment):
    plan = derive(experiment(objective=True, data={"labelled_count": 24, "unlabelled_count": 40}))
    labelled, unlabelled = orders(plan).train, orders(plan).unlabelled
    assert (labelled.samples, unlabelled.samples) == (24, 40)
    assert labelled.seed != unlabelled.seed
    assert orders(derive(experiment())).unlabelled is None


def test_smaller_subsets_nest_in_larger_ones(experiment):
    def subset(count: int) -> set[int]:
        return set(orders(derive(experiment(data={"labelled_count": count}))).train.ordinals().tolist())

    assert subset(10) < subset(24) < subset(60)


def test_seeds_shuffle_differently_and_never_share_an_order(experiment):
    def first(seed: int, which: str) -> list[int]:
        config = experiment(objective=True).model_copy(update={"seed": seed})
        return list(islice(getattr(orders(derive(config)), which).stream_order(0, 0), 8))

    orders_seen = [tuple(first(seed, which)) for seed in range(3) for which in ("train", "unlabelled")]
    assert len(set(orders_seen)) == 6


def test_the_generator_is_the_one_named(experiment):
    config = experiment(model={"name": "rcn", "width": 4})
    generator = build_generator(config, load_markup("ibug68"))
    assert count_parameters(generator) == 17_408  # the paper's 0.0174 M
    next(generator.parameters()).requires_grad_(False)
    assert count_parameters(generator) < 17_408
