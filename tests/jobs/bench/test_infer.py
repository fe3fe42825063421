"""The rows of the inference benchmark: every side that was measured, beside the paper's figures."""

from __future__ import annotations

import csv

import pytest
import torch

from jobs.bench import infer
from jobs.settings import experiment


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_rows(tmp_path, monkeypatch):
    out = tmp_path / "infer.csv"
    # ONNX has tests of its own (tests/pipeline/inference/export), and takes long to write.
    monkeypatch.setattr(infer, "has_onnx", lambda: False)
    infer.bench("configs/laplace_300w.yaml", [4], [], seconds=0.0, rounds=2, compiled=False, out=str(out))
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["round"] for row in rows] == ["0", "1"]
    for row in rows:
        assert float(row["eager_fps"]) > 0
        assert (row["onnx_fps"], row["compiled_fps"]) == ("", "")
        assert (row["paper_fps"], row["paper_mb"], row["width"], row["input"]) == ("26.5", "0.076", "4", "80")
        assert row["cpu"]
        # 17,408 parameters of 4 bytes.
        assert float(row["weights_mb"]) == pytest.approx(int(row["parameters"]) * 4 / 1e6, abs=1e-3)


def test_frames_are_counted():
    calls = []
    infer.frames_per_second(calls.append, torch.zeros(1), 0.0)
    assert len(calls) == 3


def test_networks_of_every_method_are_built():
    for name in ("demo_adnet", "demo_uglli", "demo_wasserstein", "demo_anisotropic"):
        module = infer.build(experiment(f"configs/{name}.yaml", []))
        with torch.no_grad():
            points = module(torch.zeros(1, module.size, module.size, 3, dtype=torch.uint8))[0]
        assert points.shape == (1, 68, 2)
