import csv
import json

import pytest
import torch

from jobs.bench import wasserstein as bench_module
from jobs.bench.figures import run_python
from jobs.bench.wasserstein import SIDES, bench, inputs
from pipeline.errors import ConfigError
from pipeline.losses.wasserstein import wasserstein


@pytest.mark.parametrize(("side", "tolerance"), [("dense", 0.01), ("pot", 0.01), ("geomloss", 0.02)])
def test_the_other_sides_solve_the_same_problem(side, tolerance):
    """OT_ε of the same heatmaps, and its gradient; GeomLoss's comes from about ten iterations."""
    logits, target = inputs(2, 16, 0, "cpu")
    logits.requires_grad_()
    p = logits.flatten(2).softmax(-1).view(logits.shape)
    value = wasserstein(p, target, 1.0, 0.2, 40, extrapolate=False).mean()
    (gradient,) = torch.autograd.grad(value, logits)
    theirs = SIDES[side](logits, target, 1.0, 0.2, 60)
    assert theirs.item() == pytest.approx(value.item(), rel=tolerance)
    (their_gradient,) = torch.autograd.grad(theirs, logits)
    cosine = torch.nn.functional.cosine_similarity(gradient.flatten(), their_gradient.flatten(), dim=0)
    assert cosine.item() > 1 - 0.1 * tolerance


def measured(side: str) -> dict[str, float]:
    """Of a process of its own, as the bench has it: in this one, blocks that earlier tests freed would be used again."""
    settings = {
        "count": 2,
        "size": 24,
        "sigma": 1.0,
        "epsilon": 0.2,
        "iterations": 10,
        "seed": 0,
    }
    return json.loads(run_python("jobs.bench.wasserstein", [side], settings, {})[0])


def test_a_measurement_has_time_memory_and_value():
    found = measured("dense")
    assert found["seconds"] > 0
    assert found["passes"] == 3
    # Two landmarks' (576 × 576) float32 matrices, at least; far less than the heatmaps of a batch would be.
    assert found["mib"] > 2 * 576**2 * 4 / 2**20
    assert found["value"] == pytest.approx(measured("ours")["value"], rel=0.3)


def test_ratios_are_printed_for_the_same_landmarks_and_for_all(monkeypatch, capsys, tmp_path):
    asked = []

    def fake(module, arguments, settings, environment):
        assert module == "jobs.bench.wasserstein"
        asked.append((arguments[0], settings["count"]))
        seconds = {"ours": 0.5, "dense": 10.0, "geomloss": 5.0, "pot": 20.0}[arguments[0]] * settings["count"]
        # Blocks are kept where time is taken, and not where memory is.
        kept = bool(environment)
        return json.dumps(
            {"seconds": seconds if kept else -1.0, "mib": -1.0 if kept else 4 * seconds, "value": 1.0}
        ), 0.0

    monkeypatch.setattr(bench_module, "run_python", fake)
    rows = bench(batch=2, landmarks=3, size=8, few=2, out=str(tmp_path / "w.csv"))
    assert asked[::2] == [("ours", 6), ("ours", 2), ("geomloss", 2), ("pot", 2), ("dense", 2)]
    assert asked[1::2] == asked[::2]
    printed = capsys.readouterr().out
    assert "dense / ours on 2 landmarks, both measured: time × 20.0, memory × 20.0" in printed
    assert "dense / ours on 6 landmarks, dense scaled × 3: time × 20.0, memory × 20.0" in printed
    written = list(csv.DictReader((tmp_path / "w.csv").open()))
    assert [row["side"] for row in written] == [row["side"] for row in rows]
    assert {"cpu", "commit"} <= set(written[0])


def test_numbers_below_one_are_refused():
    with pytest.raises(ConfigError, match="bench wasserstein: few is 0"):
        bench(few=0)
