"""Starting from trained weights: they are the same, they say what the run is, and what does not fit is named."""

import shutil
from pathlib import Path

import pytest
import torch

from pipeline.errors import ConfigError, DataError
from pipeline.markup import load_markup
from pipeline.methods.build import make_generator
from pipeline.methods.model_file import ModelDescription, save_model
from pipeline.registry import Part
from pipeline.shards.manifest import CropPolicy, load_manifest
from pipeline.training.build import build_generator
from pipeline.training.config.compose import validate
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.ema import WeightAverage
from pipeline.training.identity import WHERE
from pipeline.training.init import check_init, identified, load_weights, model_folder
from pipeline.training.run import ready, run_folder_of

IBUG = load_markup("ibug68")


def save(folder: Path, seed: int = 0, width: int = 4, markup: str = "ibug68") -> Path:
    torch.manual_seed(seed)
    part = Part.model_validate({"name": "rcn", "width": width})
    description = ModelDescription(
        name="teacher",
        model=part,
        loss=Part(name="laplace_kl"),
        markup=markup,
        num_landmarks=68,
        input_size=80,
        crop=CropPolicy(points="landmarks", side_factor=3.0, size=80, jpeg_quality=95),
        step=1,
        averaged=False,
        parameters=0,
        config_hash="0" * 12,
        seed=seed,
    )
    save_model(str(folder), description, make_generator(part, IBUG, 80).state_dict())
    return folder


@pytest.fixture
def experiment(toy_sets, tmp_path):
    def make(model: Path | None, **parameters) -> ExperimentConfig:
        raw = {
            "name": "x",
            "data": {key: str(toy_sets[key]) for key in ("train", "validation")} | {"streams": 4},
            "model": {"name": "rcn", "width": 4} | parameters,
            "init": None if model is None else {"model": str(model)},
            "cluster": {"storage": str(tmp_path / "runs")},
        }
        return validate(raw, ExperimentConfig, "x.yaml")

    return make


def test_weights_and_average_start_equal(experiment, tmp_path):
    teacher = save(tmp_path / "teacher", seed=3)
    torch.manual_seed(3)
    expected = make_generator(Part.model_validate({"name": "rcn", "width": 4}), IBUG, 80).state_dict()
    generator = build_generator(experiment(teacher, dropout=0.0), IBUG)
    assert any(not torch.equal(value, expected[name]) for name, value in generator.state_dict().items())
    load_weights(generator, experiment(teacher, dropout=0.0))  # dropout is no weight
    average = WeightAverage(generator, 0.99).state(generator)
    for name, value in expected.items():
        assert torch.equal(generator.state_dict()[name], value)
        assert torch.equal(average[name], value)


def test_a_run_is_known_by_the_weights_and_not_by_their_place(experiment, tmp_path):
    teacher = save(tmp_path / "teacher")
    copied = tmp_path / "elsewhere"
    shutil.copytree(teacher, copied)
    other = save(tmp_path / "other", seed=1)

    def known(model) -> str:
        return config_hash(identified(experiment(model)), WHERE)

    assert known(teacher) == known(copied)
    assert len({known(teacher), known(other), known(None)}) == 3


def test_a_run_goes_on_from_moved_weights_and_not_from_others(experiment, tmp_path):
    teacher = save(tmp_path / "teacher")
    begun = ready(experiment(teacher))
    moved = teacher.rename(tmp_path / "moved")
    again = ready(experiment(moved))
    assert (again.config_hash, again.folder) == (begun.config_hash, begun.folder)
    (Path(begun.folder) / "step-000000012").mkdir()
    save(moved, seed=1)
    with pytest.raises(ConfigError, match=r"exists .* with another config \(init.sha256"):
        ready(experiment(moved))
    with pytest.raises(DataError, match="its weights have changed since the run began"):
        load_weights(build_generator(begun.config, IBUG), again.config)


def test_what_differs_is_named(experiment, toy_sets, tmp_path):
    train = load_manifest(str(toy_sets["train"]))
    wide = experiment(save(tmp_path / "wide", width=8))
    with pytest.raises(
        ConfigError, match=r"model.width is 8 there and 4 here; \d+ tensors differ, e.g. .*\(8, "
    ):
        check_init(wide, train)
    with pytest.raises(ConfigError, match="predicts markup 'wflw98'.*'ibug68'"):
        check_init(experiment(save(tmp_path / "wflw", markup="wflw98")), train)
    config = experiment(save(tmp_path / "teacher"))
    hourglass = config.model_copy(update={"model": Part(name="hourglass")})
    with pytest.raises(ConfigError, match="its network is 'rcn', the run's 'hourglass'"):
        check_init(hourglass, train)


def test_a_run_stands_for_the_model_it_selected(experiment, tmp_path):
    config = experiment(save(tmp_path / "teacher"))
    folder = Path(ready(config).folder)
    assert str(folder) == run_folder_of(config)
    with pytest.raises(DataError, match="the run is not finished"):
        model_folder(str(folder))
    (folder / "finished.json").write_text("{}")
    assert model_folder(str(folder)) == str(folder / "models/best")
    with pytest.raises(DataError, match=r"neither a run's folder .* nor a model's"):
        model_folder(str(tmp_path))
