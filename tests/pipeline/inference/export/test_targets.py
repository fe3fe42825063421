"""Exported files say what the model says, for batches of any size, and know what they are."""

from __future__ import annotations

import json

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.inference.crops import answer
from pipeline.inference.export import TARGETS, find_target
from pipeline.inference.export.compare import compare, drawn_crops

RCN = {"name": "rcn", "width": 4}
CASES = {
    # Crops are resampled within the graph.
    "rcn": (RCN, "laplace_kl", "laplace", None, {"side": 64, "size": 80}),
    # A quarter of a pixel towards the second peak: indices, not sums.
    "peaks": (RCN, "heatmap_l2", "laplace", "quarter_shift", {}),
    "adnet": (
        {"name": "hourglass", "stacks": 1, "width": 16, "levels": 3, "attention": "edge", "coord_conv": "stacks"},
        "adl", "adnet", None, {},
    ),
    # Covariances of the held-out residuals, the same for every face.
    "regressor": ({"name": "regressor", "backbone": "resnet18"}, "wing", "anisotropic", None, {"residuals": True}),
    "uglli": ({"name": "dunet", "stacks": 1, "width": 8, "growth": 4}, "gaussian_log_likelihood", "uglli", None, {}),
}  # fmt: skip


# The translation to ONNX takes half a minute on a busy machine: of one network by default, of all where there is time.
SLOW = {(case, "onnx") for case in CASES if case != "rcn"}


@pytest.mark.parametrize(
    ("case", "target"),
    [
        pytest.param(case, target, marks=[pytest.mark.slow] if (case, target) in SLOW else [])
        for case in CASES
        for target in TARGETS
    ],
)
def test_an_exported_model_is_the_model(make_module, tmp_path, case, target):
    model, loss, method, decoder, sizes = CASES[case]
    module = make_module(model, loss, method, decoder, **sizes)
    found = find_target(target)
    path = str(tmp_path / f"model{found.suffix}")
    found.write(module, path)
    crops = drawn_crops(module.model.description.crop, 10)
    difference = compare(module, found.load(path), crops)
    assert difference.points < 1e-3
    assert difference.covariance < 1e-3
    assert difference.faces == 10


def test_files_know_what_they_are(make_module, tmp_path):
    onnx = pytest.importorskip("onnx")
    module = make_module(RCN, "laplace_kl", "laplace")
    for name in TARGETS:
        target = find_target(name)
        target.write(module, str(tmp_path / f"model{target.suffix}"))
    graph = onnx.load(str(tmp_path / "model.onnx"))
    kept = {entry.key: entry.value for entry in graph.metadata_props}["model.json"]
    files = {"model.json": ""}
    torch.export.load(str(tmp_path / "model.pt2"), extra_files=files)
    for text in (kept, files["model.json"]):
        assert json.loads(text)["crop"]["side_factor"] == 3.0
    assert [entry.name for entry in graph.graph.input] == ["crops"]
    assert [entry.name for entry in graph.graph.output] == ["points", "covariance"]
    shape = graph.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in shape] == ["batch", 64, 64, 3]


@pytest.mark.parametrize("side", [64, 96])
def test_the_function_is_what_prediction_does(make_module, side):
    module = make_module(RCN, "laplace_kl", "laplace", side=side, size=80)
    crops = drawn_crops(module.model.description.crop, 3)
    points, covariance = module(crops)
    expected, stated = answer(module.model, crops.permute(0, 3, 1, 2), "cpu", flip=False)
    torch.testing.assert_close(points.double(), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(covariance.double(), stated, atol=1e-3, rtol=1e-4)


def test_differences_are_seen(make_module):
    module = make_module(RCN, "laplace_kl", "laplace")
    crops = drawn_crops(module.model.description.crop, 4)

    def shifted(batch):
        points, covariance = module(batch)
        return points + torch.tensor([0.3, 0.4]) * (len(batch) == 2), covariance * 1.1

    found = compare(module, shifted, crops)
    assert found.points == pytest.approx(0.5, rel=1e-4)
    assert 0.05 < found.covariance < 0.11
    broken = compare(module, lambda batch: (module(batch)[0] * float("nan"), module(batch)[1]), crops)
    constant = compare(module, lambda batch: tuple(each[:1] for each in module(batch)), crops)
    assert broken.points == constant.points == float("inf")


def test_no_such_target():
    with pytest.raises(ConfigError, match="did you mean 'onnx'"):
        find_target("onxx")
