import csv
import json

import pytest
import torch

from jobs.bench import wasserstein as bench_module
from jobs.bench.wasserstein import bench, dense, inputs, measure
from pipeline.errors import ConfigError
from pipeline.losses.wasserstein import wasserstein


def test_the_dense_side_solves_the_same_problem():
    logits, target = inputs(2, 16, 0, "cpu")
    p = logits.flatten(2).softmax(-1).view(logits.shape)
    ours = wasserstein(p, target, 1.0, 0.2, 40, extrapolate=False).mean().item()
    assert dense(logits, target, 1.0, 0.2, 30).item() == pytest.approx(ours, rel=0.01)


def test_the_dense_side_has_the_same_gradient():
    logits, target = inputs(2, 16, 0, "cpu")
    logits.requires_grad_()
    p = logits.flatten(2).softmax(-1).view(logits.shape)
    (ours,) = torch.autograd.grad(wasserstein(p, target, 1.0, 0.2, 40, extrapolate=False).mean(), logits)
    (theirs,) = torch.autograd.grad(dense(logits, target, 1.0, 0.2, 30), logits)
    assert torch.nn.functional.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0).item() > 0.999


def test_a_measurement_has_time_memory_and_value():
    found = measure("dense", 2, 24, 1.0, 0.2, 10, 0)
    assert found["seconds"] > 0
    # Two landmarks' (576 × 576) float32 matrices, at least; far less than the heatmaps of a batch would be.
    assert found["mib"] > 2 * 576**2 * 4 / 2**20
    assert found["value"] == pytest.approx(measure("ours", 2, 24, 1.0, 0.2, 10, 0)["value"], rel=0.3)


def test_ratios_are_printed_for_the_same_landmarks_and_for_all(monkeypatch, capsys, tmp_path):
    asked = []

    def fake(module, arguments, settings, environment):
        assert module == "jobs.bench.wasserstein"
        asked.append((arguments[0], settings["count"]))
        seconds = {"ours": 0.5, "dense": 10.0, "geomloss": 5.0}[arguments[0]] * settings["count"]
        return json.dumps({"seconds": seconds, "mib": 4 * seconds, "value": 1.0}), 0.0

    monkeypatch.setattr(bench_module, "run_python", fake)
    rows = bench(batch=2, landmarks=3, size=8, few=2, out=str(tmp_path / "w.csv"))
    assert asked[:3] == [("ours", 6), ("ours", 2), ("dense", 2)]
    printed = capsys.readouterr().out
    assert "dense / ours on 2 landmarks, both measured: time × 20.0, memory × 20.0" in printed
    assert "dense / ours on 6 landmarks, dense scaled × 3: time × 20.0, memory × 20.0" in printed
    written = list(csv.DictReader((tmp_path / "w.csv").open()))
    assert [row["side"] for row in written] == [row["side"] for row in rows]
    assert {"cpu", "commit"} <= set(written[0])


def test_numbers_below_one_are_refused():
    with pytest.raises(ConfigError, match="bench wasserstein: few is 0"):
        bench(few=0)
