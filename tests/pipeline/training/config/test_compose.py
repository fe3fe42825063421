"""Pieces, file, overrides: in that order; and what goes wrong is named with its nearest match."""

import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.errors import ConfigError
from pipeline.registry import Part
from pipeline.training.config.compose import (
    compose,
    differences,
    load_yaml,
    to_yaml,
    validate,
    value_at,
    with_values,
)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(Strict):
    root: str
    limit: int | None = None


class Data(Strict):
    train: str = "a"
    fractions: tuple[float, ...] = ()
    sources: tuple[Source, ...] = ()


class Training(Strict):
    epochs: float | None = Field(200, gt=0)
    batch: int = 16
    ema: bool = False


class Experiment(Strict):
    name: str
    data: Data = Data()
    training: Training = Training()
    cluster: dict[str, int] = {}
    model: Part = Part(name="rcn")
    second: Training | None = None

    @model_validator(mode="after")
    def _possible(self) -> "Experiment":
        if self.training.batch == 13:
            raise ValueError("training.batch = 13 is unlucky")
        if self.training.batch == 14:
            raise ConfigError("part 'rcn' has no parameter 'widht'")
        return self


@pytest.fixture
def write(tmp_path):
    def file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return file


def message(call, *arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    return str(caught.value)


def test_later_pieces_override_earlier_ones_and_the_file_overrides_all(write):
    write("pieces/a.yaml", "name: a\ntraining: {epochs: 1, batch: 1}\ndata: {train: a}\n")
    write("pieces/b.yaml", "name: b\ntraining: {epochs: 2, ema: true}\n")
    path = write("own.yaml", "extends: [pieces/a.yaml, pieces/b.yaml]\nname: own\n")
    config = compose(path, [], Experiment)
    assert config.name == "own"
    assert config.training == Training(epochs=2, batch=1, ema=True)
    assert config.data.train == "a"
    reversed_ = write("own2.yaml", "extends: [pieces/b.yaml, pieces/a.yaml]\n")
    config = compose(reversed_, [], Experiment)
    assert (config.name, config.training.epochs) == ("a", 1)


def test_pieces_are_found_beside_the_file_that_names_them(write, monkeypatch, tmp_path):
    write("pieces/deep/c.yaml", "name: c\ntraining: {batch: 3}\n")
    write("pieces/b.yaml", "extends: deep/c.yaml\ntraining: {epochs: 3}\n")
    path = write("own.yaml", "extends: pieces/b.yaml\n")
    monkeypatch.chdir(tmp_path.parent)
    assert compose(path, [], Experiment).training == Training(epochs=3, batch=3)


def test_one_piece_may_be_named_twice_without_being_a_circle(write):
    write("a.yaml", "training: {batch: 3}\n")
    write("b.yaml", "extends: a.yaml\n")
    path = write("own.yaml", "extends: [a.yaml, b.yaml]\nname: x\n")
    assert compose(path, [], Experiment).training.batch == 3


def test_a_circle_is_drawn(write):
    write("a.yaml", "extends: b.yaml\n")
    write("b.yaml", "extends: [a.yaml]\n")
    text = message(load_yaml, write("own.yaml", "extends: a.yaml\n"))
    assert "'extends' goes in a circle: own.yaml → a.yaml → b.yaml → a.yaml" in text


def test_a_missing_file_lists_its_neighbours(write, tmp_path):
    write("demo.yaml", "name: x\n")
    write("other.yaml", "name: x\n")
    text = message(load_yaml, tmp_path / "dmeo.yaml")
    assert f"{tmp_path / 'dmeo.yaml'}: no such config" in text
    assert "demo.yaml, other.yaml" in text
    assert "no such config" in message(load_yaml, tmp_path / "nowhere" / "x.yaml")
    extends = write("own.yaml", "extends: pieces/none.yaml\n")
    assert f"{tmp_path / 'pieces' / 'none.yaml'}: no such config" in message(load_yaml, extends)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: [1,\n", "not a YAML config"),
        ("a: 1\na: 2\n", "not a YAML config: .*duplicate key"),
        ("- 1\n- 2\n", "a config is a mapping of sections, this is a list"),
        ("3\n", "not a YAML config"),
    ],
)
def test_a_file_that_is_no_config_is_named(write, text, reason):
    path = write("own.yaml", text)
    with pytest.raises(ConfigError, match=rf"(?s)own\.yaml: {reason}"):
        compose(path, [], Experiment)


def test_a_folder_and_a_binary_file_are_no_configs(write, tmp_path):
    assert "not a YAML config" in message(load_yaml, tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\xfa")
    assert "b.yaml: not a YAML config" in message(load_yaml, tmp_path / "b.yaml")


def test_overrides_have_types(write):
    path = write("own.yaml", "name: x\nmodel: {name: rcn, width: 8}\ndata: {sources: [{root: a}]}\n")
    config = compose(
        path,
        [
            "training.epochs=null",
            "training.batch=3",
            "training.ema=true",
            "data.train=s3://bucket/a=b",
            "data.fractions=[0.5,1e-3]",
            "cluster.workers=2",
            "model.width=16",
            "model.dropout=0.1",
            "data.sources=[{root: b, limit: 3}]",
            "second.batch=5",
        ],
        Experiment,
    )
    assert config.training == Training(epochs=None, batch=3, ema=True)
    assert config.data.train == "s3://bucket/a=b"
    assert config.data.fractions == (0.5, 1e-3)
    assert config.cluster == {"workers": 2}
    assert config.model.parameters == {"width": 16, "dropout": 0.1}
    assert config.data.sources == (Source(root="b", limit=3),)
    assert config.second == Training(batch=5)


def test_the_last_override_wins(write):
    path = write("own.yaml", "name: x\n")
    assert compose(path, ["name=a", "name=b"], Experiment).name == "b"


@pytest.mark.parametrize("override", ["training.epochs", "=3", "epochs:3"])
def test_an_override_that_is_none_says_how_to_write_one(write, override):
    text = message(compose, write("own.yaml", "name: x\n"), [override], Experiment)
    assert repr(override) in text
    assert "write it as dotted.key=value" in text


def test_an_override_whose_value_is_no_yaml_is_named(write):
    text = message(compose, write("own.yaml", "name: x\n"), ["data.fractions=[1,"], Experiment)
    assert "data.fractions=[1," in text


@pytest.mark.parametrize(
    ("override", "key", "near"),
    [
        ("traning.epochs=3", "traning", "training"),
        ("training.epoch=3", "training.epoch", "epochs"),
        ("second.btach=3", "second.btach", "batch"),
        ("data.sources=[{rot: a, root: b}]", "data.sources.0.rot", "root"),
    ],
)
def test_an_unknown_key_gets_its_nearest_match(write, override, key, near):
    path = write("own.yaml", "name: x\n")
    text = message(compose, path, [override], Experiment)
    assert f"{path}: unknown key '{key}': did you mean '{near}'?" in text


def test_an_unknown_key_like_no_other_lists_the_known_ones(write):
    text = message(compose, write("own.yaml", "name: x\n"), ["training.zzz=1"], Experiment)
    assert "unknown key 'training.zzz': known keys there: batch, ema, epochs" in text


def test_every_problem_is_named_at_once(write):
    path = write("own.yaml", "training: {epochs: -1, batch: many}\n")
    text = message(compose, path, [], Experiment)
    assert "key 'name' is missing; set it in the file or as name=…" in text
    assert "key 'training.epochs' = -1: Input should be greater than 0" in text
    assert "key 'training.batch' = 'many': Input should be a valid integer" in text


def test_a_value_where_a_section_belongs_is_named(write):
    text = message(compose, write("own.yaml", "name: x\n"), ["training=3"], Experiment)
    assert "key 'training' = 3" in text


def test_an_impossible_combination_names_the_file(write):
    path = write("own.yaml", "name: x\n")
    assert (
        message(compose, path, ["training.batch=13"], Experiment) == f"{path}: training.batch = 13 is unlucky"
    )
    expected = f"{path}: part 'rcn' has no parameter 'widht'"
    assert message(compose, path, ["training.batch=14"], Experiment) == expected


def test_interpolation(write, monkeypatch):
    path = write("own.yaml", 'name: "${oc.env:RUN_NAME,fallback}"\ndata: {train: "${name}/train"}\n')
    monkeypatch.delenv("RUN_NAME", raising=False)
    assert compose(path, [], Experiment).data.train == "fallback/train"
    monkeypatch.setenv("RUN_NAME", "mine")
    assert compose(path, [], Experiment).data.train == "mine/train"
    missing = write("other.yaml", 'name: "${oc.env:NOT_SET_ANYWHERE}"\n')
    assert "NOT_SET_ANYWHERE" in message(compose, missing, [], Experiment)
    unset = write("third.yaml", "name: ???\n")
    assert "name" in message(compose, unset, [], Experiment)


def everything() -> Experiment:
    return Experiment(
        name="0012",  # a string that looks like a number
        data=Data(train="yes", fractions=(1e-5, 0.1), sources=(Source(root="ä: #b", limit=None),)),
        training=Training(epochs=None, ema=True),
        cluster={"workers": 2},
        model=Part.model_validate({"name": "rcn", "width": 8, "nested": {"on": None, "lr": 1e-5}}),
    )


def test_the_resolved_config_reads_back_as_itself(write):
    config = everything()
    text = to_yaml(config)
    assert validate(yaml.safe_load(text), Experiment, "text") == config
    path = write("resolved.yaml", "")
    path.write_text(text, encoding="utf-8")
    assert compose(path, [], Experiment) == config


def test_differences_name_dotted_keys():
    a = everything()
    b = Experiment.model_validate(
        a.model_dump() | {"training": Training(epochs=4, ema=True), "second": Training(), "cluster": {}}
    )
    assert differences(a, a) == []
    assert differences(a, b) == [
        "cluster.workers: 2 → None",
        "second.batch: None → 16",
        "second.ema: None → False",
        "second.epochs: None → 200.0",
        "training.epochs: None → 4.0",
    ]


def test_values_are_put_at_dotted_keys():
    config = everything()
    changed = with_values(
        config, {"name": "other", "training.batch": 5, "model.width": 16, "cluster.gpus": 1}, "here"
    )
    assert differences(config, changed) == [
        "cluster.gpus: None → 1",
        "model.width: 8 → 16",
        "name: '0012' → 'other'",
        "training.batch: 16 → 5",
    ]
    assert config == everything()


def test_no_values_are_the_same_config():
    config = everything()
    assert with_values(config, {}, "here") == config
    own = {
        key: value_at(config, key)
        for key in ("data", "training.epochs", "model.nested.lr", "second", "data.sources")
    }
    assert with_values(config, own, "here") == config


def test_a_section_that_is_null_is_filled_as_a_whole():
    config = everything()
    assert config.second is None
    filled = with_values(config, {"second": {"batch": 3}, "second.ema": True}, "here")
    assert filled.second == Training(batch=3, ema=True)
    assert with_values(filled, {"second": None}, "here") == config
    assert message(with_values, config, {"second.batch": 3}, "here") == (
        "here: key 'second.batch': the config has no section 'second'"
    )


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "traning.batch",
            3,
            "key 'traning.batch': the config has no section 'traning'; did you mean 'training'?",
        ),
        (
            "model.nestd.lr",
            3,
            "key 'model.nestd.lr': the config has no section 'model.nestd'; did you mean 'nested'?",
        ),
        ("training.batch.size", 3, "key 'training.batch.size': the config has no section 'training.batch'"),
        ("training.btach", 3, "unknown key 'training.btach': did you mean 'batch'?"),
        ("nmae", "x", "unknown key 'nmae': did you mean 'name'?"),
        ("training.batch", "many", "key 'training.batch' = 'many': Input should be a valid integer"),
        ("training", 3, "key 'training' = 3"),
        ("training.batch", 13, "training.batch = 13 is unlucky"),
        ("training.batch", 14, "part 'rcn' has no parameter 'widht'"),
    ],
)
def test_a_value_that_cannot_be_put_is_named(key, value, expected):
    text = message(with_values, everything(), {key: value}, "trial 3")
    assert text.startswith(f"trial 3: {expected}")


def test_the_value_at_a_key_is_plain():
    config = everything()
    assert value_at(config, "training.epochs") is None
    assert value_at(config, "data.fractions") == [1e-5, 0.1]
    assert value_at(config, "data.sources") == [{"root": "ä: #b", "limit": None}]
    assert value_at(config, "model.nested.lr") == 1e-5
    assert value_at(config, "training") == {"epochs": None, "batch": 16, "ema": True}


@pytest.mark.parametrize(
    "key", ["nothing", "training.nothing", "training.batch.x", "second.batch", "data.sources.root", ""]
)
def test_what_the_config_does_not_spell_out_has_no_value(key):
    with pytest.raises(KeyError):
        value_at(everything(), key)


class Named(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    part: dict[str, Any]
    other: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("own", "overrides", "expected"),
    [
        ("part: {b: 3}", [], {"name": "old", "a": 1, "b": 3}),
        ("part: {name: old, b: 3}", [], {"name": "old", "a": 1, "b": 3}),
        ("part: {name: new, c: 4}", [], {"name": "new", "c": 4}),
        ("", ["part={name: new}"], {"name": "new"}),
        ("", ["part={name: old, b: 5}"], {"name": "old", "a": 1, "b": 5}),
        ("", ["part.name=new"], {"name": "new", "a": 1, "b": 2}),
        ("part: {name: new, c: 4}", ["part.c=5", "part={name: third}"], {"name": "third"}),
    ],
)
def test_another_part_does_not_inherit_the_old_ones_parameters(tmp_path, own, overrides, expected):
    (tmp_path / "base.yaml").write_text("name: base\npart: {name: old, a: 1, b: 2}\nother: {x: 1}\n")
    (tmp_path / "own.yaml").write_text(f"extends: base.yaml\nname: own\n{own}\n")
    config = compose(tmp_path / "own.yaml", overrides, Named)
    assert config.part == expected
    assert config.name == "own"  # the run's name is no section's
    assert config.other == {"x": 1}
