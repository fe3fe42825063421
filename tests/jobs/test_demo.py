"""The demo's line, small, through the command line: what `make demo` runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.cluster
def test_demo_goes_from_drawn_faces_to_a_report(tmp_path, landmarks):
    sets = tmp_path / "sets"
    overrides = [
        f"prepare.out={sets}",
        "prepare.samples_per_shard=8",
        "prepare.sets.0.reader.count=24",
        "prepare.sets.1.reader.count=50",
        "prepare.sets.2.reader.count=60",
        *(f"data.{name}={sets / name}" for name in ("train", "validation", "test", "unlabelled")),
        "data.streams=4",
        "data.labelled_count=24",
        "model.width=16",
        "input_size=48",
        "model.levels=2",
        "training.steps=60",
        "training.batch=8",
        "training.ema_decay=0.9",
        "optimizer.lr=0.005",
        "cluster.cpus_per_worker=1",
        f"cluster.storage={tmp_path / 'runs'}",
        f"tracking.uri=sqlite:///{tmp_path}/mlflow.db",
        f"tracking.artifacts={tmp_path / 'artifacts'}",
    ]
    printed = landmarks.run("demo", str(ROOT / "configs/demo.yaml"), *overrides, cwd=tmp_path)
    assert "mlflow ui --backend-store-uri sqlite:///" in printed
    out = tmp_path / "outputs" / "evaluation" / "demo"
    report = (out / "report.html").read_text(encoding="utf-8")
    numbers = {}
    for name in ("demo-supervised", "demo-semi-supervised"):
        evaluation = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
        manifest = json.loads((sets / "test" / "manifest.json").read_text(encoding="utf-8"))
        assert evaluation["faces"] == manifest["samples"]
        # What it was measured on is the set's own word, and so is that nothing was chosen or trained on it.
        assert evaluation["protocol_name"].startswith("synthetic/test ")
        assert not evaluation["selected_on_test"]
        assert not evaluation["trained_on_test"]
        assert evaluation["provenance"]["selection_set"] == "validation: other faces than those measured here"
        numbers[name] = evaluation["errors"]["ocular"]["nme"]
        assert f"{numbers[name]:.2f}" in report
        # Independently of the evaluation's own code: the mean error in original pixels, over the outer eye corners.
        with np.load(out / f"{name}.npz", allow_pickle=False) as saved:
            error = np.linalg.norm(saved["points_NK2"] - saved["target_NK2"], axis=-1).mean(axis=1)
            ocular = np.linalg.norm(saved["target_NK2"][:, 36] - saved["target_NK2"][:, 45], axis=-1)
            corner_N2, side_N1 = saved["crops_N3"][:, :2], saved["crops_N3"][:, 2:]
            centre = (corner_N2 + side_N1 / 2 - 0.5)[:, None]
            ignorant = np.linalg.norm(centre - saved["target_NK2"], axis=-1).mean(axis=1)
        assert numbers[name] == pytest.approx(100 * (error / ocular).mean(), rel=1e-6)
        # Sixty steps from 24 labels: far from good, but far from knowing nothing, too.
        assert numbers[name] < 0.65 * 100 * (ignorant / ocular).mean()
    assert len({round(v, 6) for v in numbers.values()}) == 2
    semi, supervised = numbers["demo-semi-supervised"], numbers["demo-supervised"]
    assert f"{semi:.2f} % NME instead of {supervised:.2f} %" in report
