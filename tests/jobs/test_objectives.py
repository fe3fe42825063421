"""Every unlabelled objective with another kind of network, loss and method: trained for real, by the loop alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

OBJECTIVES = {
    # Each with another kind of network: a discriminator on small heatmaps, a regressor that follows, covariances as weights.
    "adversarial": (
        {"name": "hourglass", "stacks": 2, "width": 8, "levels": 2, "attention": "point_edge"},
        {"name": "adl"},
        {"name": "adnet"},
        {"name": "adversarial", "discriminator": {"name": "patchgan", "width": 4, "layers": 2}},
        {"adversarial", "discriminator"},
    ),
    "equivariance": (
        {"name": "regressor", "backbone": "resnet18"},
        {"name": "wing"},
        {"name": "anisotropic"},
        {"name": "equivariance"},
        {"equivariance", "apart_px"},
    ),
    "mean_teacher": (
        {"name": "dunet", "stacks": 1, "width": 8, "growth": 4, "stride": 1},
        {"name": "gaussian_log_likelihood"},
        {"name": "uglli"},
        {"name": "mean_teacher", "least": 0.0},
        {"pseudo_label", "confidence", "used"},
    ),
}


@pytest.fixture(scope="module")
def taught(tmp_path_factory, toy_sets, train_plainly) -> Path:
    """Folder of a run of six steps per objective."""
    folder = tmp_path_factory.mktemp("objectives")
    configs = []
    for name, (model, loss, method, objective, _) in OBJECTIVES.items():
        configs.append({
            "name": name,
            "input_size": 64,
            "data": {
                **{key: str(toy_sets[key]) for key in ("train", "validation", "unlabelled")},
                "streams": 4, "focal_attributes": ["rare", "odd"],
            },
            "model": model, "loss": loss, "method": method,
            "unlabelled": {"objective": objective | {"weight": 0.1}},
            "augmentation": {"name": "uglli"},
            "training": {
                "epochs": None, "steps": 6, "batch": 8, "trace": True, "ema_decay": 0.9, "validate_every": 100.0,
                "image_every": 100.0,
            },
            "cluster": {"storage": str(folder)},
        })  # fmt: skip
    assert [end["error"] for end in train_plainly(*configs)] == [None] * len(OBJECTIVES)
    return folder


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_teaches_every_kind_of_network(name, taught):
    lines = (taught / name / "trace" / "rank0.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    assert len(steps) == 6
    for step in steps:
        assert len(step["keys"]) == 16
        values = {key: float.fromhex(value) for key, value in step["metrics"].items()}
        assert OBJECTIVES[name][-1] <= set(values)
        assert all(np.isfinite(value) for value in values.values())
        # λ = 0.1 of the objective's own term is what stands between the two.
        term = values[{"mean_teacher": "pseudo_label"}.get(name, name)]
        assert values["loss"] == pytest.approx(values["supervised"] + 0.1 * term, rel=1e-4, abs=1e-5)
    assert (taught / name / "models" / "best" / "model.safetensors").exists()
