"""A space fits its config or is refused before a trial starts; a part's unwritten parameters count with their defaults."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.registry import find
from pipeline.studies.search.space import check_space, ends, own_values, values_hash
from pipeline.training.config.compose import compose, validate
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.tune import ParameterConfig


def experiment(**changes) -> ExperimentConfig:
    raw = {
        "name": "x",
        "data": {"train": "t", "validation": "v", "unlabelled": "u"},
        "loss": {"name": "laplace_kl"},
    }
    return validate(raw | changes, ExperimentConfig, "x.yaml")


def between(low: float, high: float, kind: str = "float") -> ParameterConfig:
    return ParameterConfig(type=kind, low=low, high=high)


def choice(*values) -> ParameterConfig:
    return ParameterConfig(type="choice", values=values)


def refusal(space: dict[str, ParameterConfig], **changes) -> str:
    with pytest.raises(ConfigError) as caught:
        check_space(experiment(**changes), space)
    return str(caught.value)


def test_a_space_over_sections_and_parts_is_taken():
    space = {
        "optimizer.lr": between(1e-4, 1e-2),
        "training.batch": between(4, 64, "int"),
        "schedule.name": choice("constant", "cosine"),
        "model.width": choice(16, 32),
        "loss.beta": between(0.5, 2.0),
        "unlabelled.ratio": between(1, 2),
        "unlabelled.objective": choice(None),
        "data.labelled_count": choice(None, 100),
    }
    check_space(experiment(), space)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("optimizr.lr", "the config has no section 'optimizr'; did you mean 'optimizer'?"),
        ("optimizer.lrr", "optimizer 'adam' has no parameter 'lrr'; did you mean 'lr'?"),
        ("lr", "unknown key 'lr'"),
        ("optimizer.lr.first", "the config has no section 'optimizer.lr'"),
        ("loss.bta", "loss 'laplace_kl' has no parameter 'bta'; did you mean 'beta'?"),
        ("model.num_landmarks", "model 'rcn' has no parameter 'num_landmarks'"),
        ("unlabelled.objective.generator_share", "the config has no section 'unlabelled.objective'"),
    ],
)
def test_a_key_that_does_not_exist_is_named_with_the_nearest_match(key, message):
    text = refusal({"optimizer.lr": between(1e-4, 1e-2), key: between(0.5, 1)})
    assert text.startswith(f"tune.space.{key} = 0.5: ")
    assert message in text


@pytest.mark.parametrize(
    ("key", "parameter", "value"),
    [
        ("optimizer.lr", between(0, 1), "0.0"),  # the low end
        ("training.ema_decay", between(0, 1), "1.0"),  # the high end
        ("training.batch", choice(16, 8, 0), "0"),  # the last choice
        ("schedule.name", choice("constant", "cosin"), "'cosin'"),
        ("schedule.name", choice("constant", "steps"), "'steps'"),  # impossible without schedule.milestones
        ("model.width", choice(8, "wide"), "'wide'"),
        ("input_size", between(80, 90, "int"), "90"),  # the model halves it four times
        ("model.name", choice("rcn", "rcm"), "'rcm'"),
    ],
)
def test_a_value_the_config_refuses_is_named(key, parameter, value):
    assert refusal({key: parameter}).startswith(f"tune.space.{key} = {value}: ")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        *(
            (key, "does not change what a run learns")
            for key in ("name", "seed", "cluster.workers", "tracking.alias")
        ),
        *(
            (key, "does not change what a run learns")
            for key in ("tune.trials", "evaluation.dataset", "prepare.out")
        ),
        *((key, "what a run is measured on") for key in ("data.validation", "data.test", "training.select")),
    ],
)
def test_what_is_not_learnt_with_cannot_be_searched(key, message):
    # Each of these values would pass, were the key allowed.
    assert message in refusal({key: choice("last" if key == "training.select" else 1)})


def test_ends_have_the_type_of_the_parameter():
    for parameter, expected in (
        (between(1, 3), (1.0, 3.0)),
        (between(1, 3, "int"), (1, 3)),
        (choice(True, 2, "a", None), (True, 2, "a", None)),
    ):
        assert list(map(repr, ends(parameter))) == list(map(repr, expected))


def test_own_values_are_the_configs():
    config = experiment(
        optimizer={"lr": 0.02}, model={"name": "rcn", "width": 8}, schedule={"name": "cosine"}
    )
    keys = (
        "optimizer.lr",
        "model.width",
        "schedule.name",
        "input_size",
        "data.labelled_count",
        "training.epochs",
    )
    expected = (0.02, 8, "cosine", 80, None, 200.0)
    assert own_values(config, dict.fromkeys(keys, choice(1))) == dict(zip(keys, expected, strict=True))


def test_a_parameter_left_unwritten_has_its_constructors_default():
    config = experiment()
    assert set(config.loss.parameters) == set()
    loss, model = find("loss", "laplace_kl")(), find("model", "rcn")
    found = own_values(config, {"loss.beta": between(0.1, 3), "loss.true_scale": between(0.1, 3)})
    assert found == {"loss.beta": loss.beta, "loss.true_scale": loss.true_scale}
    written = experiment(loss={"name": "laplace_kl", "beta": 1.75})
    assert own_values(written, {"loss.beta": between(0.1, 3)}) == {"loss.beta": 1.75}
    width = own_values(config, {"model.width": choice(8)})["model.width"]
    model(num_landmarks=5, width=width).load_state_dict(model(num_landmarks=5).state_dict())


def test_the_objectives_default_too():
    config = experiment(unlabelled={"objective": {"name": "adversarial", "weight": 0.5}})
    import inspect

    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(find("objective", "adversarial")).parameters.items()
        if isinstance(parameter.default, int | float | str)
    }
    assert defaults
    space = {f"unlabelled.objective.{name}": choice(1) for name in defaults}
    assert list(own_values(config, space).values()) == list(defaults.values())
    assert own_values(config, {"unlabelled.objective.weight": between(0, 1)}) == {
        "unlabelled.objective.weight": 0.5
    }


def test_one_of_several_objectives_is_searched_by_its_place():
    objectives = [{"name": "adversarial"}, {"name": "detector_points", "weight": {"share": 0.25}}]
    config = experiment(unlabelled={"objectives": objectives})
    space = {
        "unlabelled.objectives.1.weight.share": between(0.1, 0.5),
        "unlabelled.objectives.0.gain": between(1, 2),
    }
    check_space(config, space)
    assert list(own_values(config, space).values()) == [0.25, 1.0]
    with pytest.raises(ConfigError, match="no section 'unlabelled.objectives.2'"):
        check_space(config, {"unlabelled.objectives.2.gain": between(1, 2)})
    with pytest.raises(ConfigError, match="names a place of a list"):
        check_space(config, {"unlabelled.objectives.0": choice(None)})


def test_every_kind_of_part_is_searched_and_knows_its_defaults():
    """A loss on curves is built for a markup, which the trainer gives: it is no parameter that the search would lack."""
    path = Path(__file__).parents[4] / "configs" / "demo_adnet.yaml"
    config = compose(path, ["decoder={name: softargmax}", "augmentation={name: custom}"], ExperimentConfig)
    space = {
        "loss.normal": choice("chord", "second_difference"),
        "method.alpha": between(1.0, 20.0),
        "decoder.beta": between(0.5, 2.0),
        "augmentation.rotation": between(0.0, 30.0),
        "optimizer.weight_decay": between(0.0, 1e-3),
        "schedule.warmup_steps": choice(0, 10),
    }
    check_space(config, space)
    assert list(own_values(config, space).values()) == ["chord", 10.0, 1.0, 0.0, 0.0, 0]


@pytest.mark.parametrize(
    "key", ["loss.nothing", "optimizer.nothing", "unlabelled.objective.x", "model.num_landmarks"]
)
def test_a_key_without_a_value_says_what_to_do(key):
    with pytest.raises(
        ConfigError, match=rf"key '{key}' has no value in the config: write its default there"
    ):
        own_values(experiment(), {key: between(0, 1)})


def test_the_hash_is_of_the_values_in_any_order():
    values = {"optimizer.lr": 0.001, "model.width": 8, "loss.name": "ä", "data.labelled_count": None}
    hashes = {values_hash(dict(order)) for order in permutations(values.items())}
    # Written down: another hash would make a resumed search's trials new ones.
    assert hashes == {"83f9a239"}
    assert re.fullmatch(r"[0-9a-f]{8}", values_hash({}))


def test_other_values_have_another_hash():
    different = [{"a": 1}, {"a": 2}, {"b": 1}, {"a": True}, {"a": "1"}, {"a": None}, {"a": 1, "b": 1}, {}]
    different += [{"a": 0.1}, {"a": 0.1 + 1e-17 + 1e-16}]
    assert len({values_hash(v) for v in different}) == len(different)
