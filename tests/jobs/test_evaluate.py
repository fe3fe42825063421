"""``landmarks evaluate`` without Ray: conditions asked for on the command line reach the models, the files and the report."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from jobs.evaluate import evaluate
from pipeline.errors import ConfigError
from pipeline.evaluation.predictions import Predictions
from pipeline.markup import load_markup
from pipeline.methods.build import make_generator
from pipeline.methods.model_file import ModelDescription, save_model
from pipeline.registry import Part
from pipeline.shards.manifest import load_manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory, toy_sets) -> str:
    """A model that has learnt nothing."""
    torch.manual_seed(0)
    manifest, model = load_manifest(str(toy_sets["test"])), Part.model_validate({"name": "rcn", "width": 4})
    description = ModelDescription(
        name="toy", model=model, loss=Part(name="laplace_kl"), markup="ibug68", num_landmarks=68, input_size=80,
        crop=manifest.crop, step=1, averaged=False, parameters=1, config_hash="0", seed=0,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("model")
    save_model(str(path), description, make_generator(model, load_markup("ibug68"), 80).state_dict())
    return str(path)


def test_a_model_of_68_landmarks_is_measured_on_five_and_on_blurred_images(folder, toy_sets, tmp_path: Path):
    settings = {
        "markup": "mtfl5",
        "normalisation": "pupil",
        "flip_test": True,
        "perturbations": ["blur-large"],
    }
    shown = Console(file=io.StringIO(), width=200)
    data = str(toy_sets["test"])
    overrides = ["evaluation.thresholds=[12.5]"]
    plain, blurred = evaluate(
        [folder],
        data=data,
        out=str(tmp_path),
        overrides=overrides,
        settings=settings,
        workers=0,
        console=shown,
    )
    assert plain.protocol_name.endswith(
        "pupil · ground-truth-landmark box · flip test · 5 landmarks of mtfl5"
    )
    assert blurred.protocol_name == f"{plain.protocol_name} · blur large"
    assert (plain.run, blurred.run) == ("toy", "toy-blur-large")
    assert plain.markup == "mtfl5"
    assert "12.5" in plain.headline.failure_rate
    assert plain.mappings[0].links == ("ibug68", "mtfl5")
    kept = json.loads((tmp_path / "toy-blur-large.json").read_text())
    assert kept["protocol"]["perturbation"] == "blur-large"
    answers = [Predictions.load(str(tmp_path / f"{name}.npz")) for name in ("toy", "toy-blur-large")]
    assert answers[0].points_NK2.shape[1] == 5
    assert (answers[0].points_NK2 != answers[1].points_NK2).any()
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Robustness</h2>" in page
    assert (
        "mapped from ibug68 to mtfl5; how far these markups differ on the same face was not measured" in page
    )


def test_what_cannot_be_measured_is_refused_before_the_model_is_asked(folder, toy_sets, tmp_path: Path):
    for settings, message in (
        ({"markup": "wflw98"}, "cannot be measured in 'wflw98', with no landmark in common"),
        ({"box_source": "detector"}, "were placed by the landmarks"),
        ({"normalisation": "eyes"}, "normalisation"),
    ):
        with pytest.raises(ConfigError, match=message):
            evaluate([folder], data=str(toy_sets["test"]), out=str(tmp_path), settings=settings, workers=0)
    assert not list(tmp_path.iterdir())
