"""A trained model is found by whatever names it, with what is known of its run; what is no model is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.inference.trained import TrainedModel, find_trained, names_apart
from pipeline.methods.model_file import ModelDescription
from pipeline.registry import Part
from pipeline.shards.manifest import CropPolicy
from pipeline.training.config.compose import to_yaml
from pipeline.training.config.experiment import ExperimentConfig

CROP = CropPolicy(points="landmarks", side_factor=3.0, size=80, jpeg_quality=95)


def description(name: str = "toy") -> ModelDescription:
    return ModelDescription(
        name=name, model=Part(name="rcn"), loss=Part(name="laplace_kl"), markup="ibug68", num_landmarks=68,
        input_size=80, crop=CROP, step=12, averaged=False, parameters=1, config_hash="0", seed=0,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a finished run leaves, but for weights."""
    folder = tmp_path / "runs" / "toy"
    raw = {
        "name": "toy",
        "data": {"train": "t", "validation": "v"},
        "cluster": {"storage": str(folder.parent)},
    }
    config = ExperimentConfig.model_validate(raw)
    for kind in ("best", "last"):
        (folder / "models" / kind).mkdir(parents=True)
        (folder / "models" / kind / "model.json").write_text(description().model_dump_json())
    (folder / "config.yaml").write_text(to_yaml(config))
    (folder / "finished.json").write_text("{}")
    (folder / "mlflow.json").write_text(json.dumps({"uri": "sqlite:////m.db", "run_id": "abc"}))
    return folder


def test_a_run_is_its_selected_model(run):
    found = find_trained(str(run))
    assert found.folder == f"{run}/models/best"
    assert found.name == found.config.name == "toy"
    assert (found.tracked.uri, found.tracked.run_id) == ("sqlite:////m.db", "abc")


def test_a_config_is_its_run(run):
    assert find_trained(f"{run}/config.yaml") == find_trained(str(run))
    other = find_trained(f"{run}/config.yaml", ["training.select=last"])
    assert other.folder == f"{run}/models/best"  # what the run did counts, not what is asked of it now
    with pytest.raises(DataError, match="neither a run's folder"):
        find_trained(f"{run}/config.yaml", ["name=another"])


def test_a_model_in_its_run_knows_the_run_and_one_on_its_own_does_not(run, tmp_path):
    assert find_trained(str(run / "models" / "last")).tracked == find_trained(str(run)).tracked
    alone = tmp_path / "alone"
    (run / "models" / "last").rename(alone)
    found = find_trained(str(alone))
    assert (found.config, found.tracked, found.training_images()) == (None, None, None)


def test_what_is_no_trained_model_is_refused(run, tmp_path):
    for argument in (tmp_path / "nowhere", tmp_path, run / "finished.json"):
        with pytest.raises(DataError, match="neither a run's folder"):
            find_trained(str(argument))
    (run / "finished.json").unlink()
    with pytest.raises(DataError, match="not finished; run 'landmarks train' again"):
        find_trained(str(run))
    assert find_trained(str(run / "models" / "best")).folder == f"{run}/models/best"  # an early look


def test_a_set_that_a_model_was_not_made_for_is_refused():
    model = TrainedModel("m", description(), None)
    model.check_fits(SimpleNamespace(markup="ibug68", crop=CROP), "set")
    with pytest.raises(ConfigError, match="m predicts markup 'ibug68', set is labelled with 'wflw98'"):
        model.check_fits(SimpleNamespace(markup="wflw98", crop=CROP), "set")
    wide = CROP.model_copy(update={"side_factor": 4.0})
    with pytest.raises(ConfigError, match=r"set is cropped with side_factor 4\.0, m was trained on 3\.0"):
        model.check_fits(SimpleNamespace(markup="ibug68", crop=wide), "set")


def test_one_runs_models_are_told_apart():
    best, last = (TrainedModel(f"/runs/toy/models/{kind}", description(), None) for kind in ("best", "last"))
    other = TrainedModel("/x", description("other"), None)
    assert names_apart([best, other]) == ["toy", "other"]
    assert names_apart([best, last]) == ["toy-best-0", "toy-last-1"]


def test_the_number_of_training_images_is_given_where_it_can_be_told(run, toy_sets):
    model = find_trained(str(run))
    assert model.training_images() is None  # its training set is gone
    raw = model.config.model_dump(mode="json")
    raw["data"] |= {"train": str(toy_sets["train"]), "unlabelled": str(toy_sets["unlabelled"])}

    def images(**data: int) -> int | None:
        config = ExperimentConfig.model_validate(raw | {"data": raw["data"] | data})
        return TrainedModel("m", description(), config).training_images()

    assert images() == 60
    assert images(labelled_count=30) == 30
