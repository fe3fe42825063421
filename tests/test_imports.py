"""Parts stay light: the losses need torch alone, and the command line starts before anything heavy is imported."""

import subprocess
import sys

import pytest

HEAVY = {
    "ray",
    "deepspeed",
    "mlflow",
    "matplotlib",
    "facenet_pytorch",
    "webdataset",
    "torchvision",
    "timm",
    "sympy",
}


def imported(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has after a statement."""
    code = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "needed", "unwanted"),
    [
        ("import jobs.cli", {"typer"}, HEAVY | {"torch", "numpy", "pydantic", "omegaconf"}),
        (
            "from pipeline.losses import laplace_kl; from pipeline.models import rcn, patchgan",
            {"torch"},
            HEAVY | {"omegaconf", "fsspec", "PIL", "pydantic"},
        ),
        ("import pipeline.evaluation.metrics.nme", {"numpy"}, HEAVY | {"torch", "fsspec"}),
        ("import pipeline.training.config, pipeline.training.tracking", {"pydantic"}, HEAVY),
        ("import jobs.settings, jobs.train, pipeline.training.loop", {"torch"}, HEAVY),
    ],
    ids=["cli", "losses and models", "metrics", "config", "training"],
)
def test_what_an_import_brings_along(statement, needed, unwanted):
    found = imported(statement)
    assert needed <= found
    assert not found & unwanted
