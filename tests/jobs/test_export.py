"""``landmarks export`` hands over a file only if it says what the model says."""

from __future__ import annotations

import pytest
import torch

from jobs.export import export
from pipeline.errors import ConfigError, TrainingError
from pipeline.methods.build import make_generator
from pipeline.methods.model_file import ModelDescription, save_model
from pipeline.registry import Part
from pipeline.shards.manifest import load_manifest


@pytest.fixture
def model(tmp_path, toy_sets) -> str:
    part = Part.model_validate({"name": "rcn", "width": 4})
    description = ModelDescription(
        name="toy", model=part, loss=Part(name="laplace_kl"), markup="ibug68", num_landmarks=68, input_size=80, step=7,
        crop=load_manifest(str(toy_sets["test"])).crop, averaged=False, parameters=1, config_hash="abc", seed=0,
    )  # fmt: skip
    torch.manual_seed(0)
    save_model(
        str(tmp_path / "model"), description, make_generator(part, description.layout, 80).state_dict()
    )
    return str(tmp_path / "model")


def test_compared_on_stored_faces_and_handed_over(model, toy_sets, tmp_path, capsys):
    out = tmp_path / "out" / "toy.pt2"
    difference = export(model, to="torch", out=str(out), data=str(toy_sets["test"]), faces=12)
    assert difference.points < 1e-4
    assert difference.faces == 12
    said = capsys.readouterr().out
    assert "largest difference from the model: " in said
    assert "px of the 80 px crop, over 12 faces" in said
    assert [path.name for path in out.parent.iterdir()] == ["toy.pt2"]


def test_over_the_bound_there_is_no_file(model, tmp_path):
    pytest.importorskip("onnxruntime")
    out = tmp_path / "out" / "toy.onnx"
    with pytest.raises(TrainingError, match="more than --max-difference 0"):
        export(model, to="onnx", out=str(out), faces=3, max_difference=0.0)
    assert list(out.parent.iterdir()) == []


def test_what_cannot_work_is_refused_before_anything_is_written(model, toy_sets, tmp_path, make_toy_set):
    other = make_toy_set(tmp_path / "small", 4, size=64)
    with pytest.raises(ConfigError, match="holds crops of 64 px"):
        export(model, to="torch", out=str(tmp_path / "x.pt2"), data=str(other))
    with pytest.raises(ConfigError, match="give a local path"):
        export(model, to="torch", out="memory://x.pt2")
    assert not (tmp_path / "x.pt2").exists()
