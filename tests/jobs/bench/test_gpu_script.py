"""``results/gpu/run.sh`` on a CPU, at its smallest: every stage runs, a second start repeats none, and only what failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.training.config.compose import compose
from pipeline.training.config.experiment import ExperimentConfig

ROOT = Path(__file__).resolve().parents[3]
GPU = ROOT / "results" / "gpu"


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", str(GPU / "run.sh"), str(folder)],
        env=os.environ | {"REHEARSAL": "1", "PATH": path},
        capture_output=True,
        text=True,
        timeout=1800,
    )


@pytest.mark.parametrize("path", sorted(GPU.glob("*.yaml")), ids=lambda p: p.stem)
def test_its_configs_compose(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert compose(path, ["cluster.gpu=true"], ExperimentConfig).cluster.gpu


def test_a_stage_that_fails_is_named_and_the_finished_ones_are_not_repeated(tmp_path: Path) -> None:
    """Without faces nothing can be trained: all stages but two were done before, these two fail, and no table is made."""
    names = [
        line.split()[1] for line in (GPU / "run.sh").read_text().splitlines() if line.startswith("stage ")
    ]
    left = {"bench-fp32", "adnet"}
    for name in set(names) - left:
        (tmp_path / f"{name}.done").write_text("1\n")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "failed: bench-fp32 adnet" in done.stderr
    assert "no such manifest" in done.stderr
    assert {line.split(":")[0] for line in done.stdout.splitlines()} == set(names) - left
    assert not (tmp_path / "table.md").exists()


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(1800)
def test_every_stage_runs_on_a_cpu(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    table = (tmp_path / "table.md").read_text()
    for name in ("fp32", "bf16", "channels-last", "compile", "accumulate"):
        assert f"| {name} |" in table
    assert "| cpu |" in table
    again = run(tmp_path)
    assert again.returncode == 0
    assert again.stdout.count("done before") == 11
