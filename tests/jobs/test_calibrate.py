"""``landmarks calibrate`` leaves a file that the predictor takes up."""

from __future__ import annotations

import pytest
import torch

from jobs.calibrate import calibrate
from pipeline import Predictor
from pipeline.errors import ConfigError
from pipeline.methods.build import make_generator
from pipeline.methods.model_file import ModelDescription, save_model
from pipeline.registry import Part
from pipeline.shards.manifest import load_manifest


def test_a_calibration_is_kept_beside_the_weights(toy_sets, tmp_path, capsys):
    data, folder = str(toy_sets["validation"]), str(tmp_path / "model")
    part = Part.model_validate({"name": "rcn", "width": 4})
    description = ModelDescription(
        name="toy", model=part, loss=Part(name="laplace_kl"), markup="ibug68", num_landmarks=68, input_size=80, step=7,
        crop=load_manifest(data).crop, averaged=False, parameters=1, config_hash="abc", seed=0,
    )  # fmt: skip
    torch.manual_seed(0)
    save_model(folder, description, make_generator(part, description.layout, 80).state_dict())
    with pytest.raises(ConfigError, match="give --data SET"):
        calibrate(folder)
    made = calibrate(folder, data=data)
    assert made.fits[0].landmarks == 20 * 68
    for flip, fit in zip((False, True), made.fits, strict=True):
        assert Predictor(folder, flip=flip).temperature == fit.temperature
    assert "without the mirror image: T = " in capsys.readouterr().out
