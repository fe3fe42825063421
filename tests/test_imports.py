"""Parts stay light: the losses need torch alone, and the command line starts before anything heavy is imported."""

import importlib
import subprocess
import sys

import pytest

from pipeline.registry import KINDS, find, names

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
            "from pipeline.losses import laplace_kl; from pipeline.models import RCN; from pipeline.heatmaps import softargmax",
            {"torch"},
            HEAVY | {"omegaconf", "fsspec", "PIL", "pydantic"},
        ),
        ("import pipeline", set(), HEAVY | {"torch", "numpy", "pydantic"}),
        ("import pipeline.evaluation.metrics.nme", {"numpy"}, HEAVY | {"torch", "fsspec"}),
        ("import pipeline.training.config, pipeline.training.tracking", {"pydantic"}, HEAVY),
        ("import jobs.settings, jobs.train, pipeline.training.loop", {"torch"}, HEAVY),
    ],
    ids=["cli", "losses and models", "pipeline", "metrics", "config", "training"],
)
def test_what_an_import_brings_along(statement, needed, unwanted):
    found = imported(statement)
    assert needed <= found
    assert not found & unwanted


@pytest.mark.parametrize(
    "statement",
    [
        "from pipeline.losses import laplace_kl",
        "import pipeline.losses.laplace_kl; from pipeline.losses import laplace_kl",
        "import importlib; importlib.import_module('pipeline.losses.laplace_kl'); from pipeline.losses import laplace_kl",
        "from pipeline.losses.laplace_kl import laplace_kl",
    ],
)
def test_the_name_that_a_loss_shares_with_its_file_is_the_function_from_the_package(statement):
    """And the file is still found by its name, as the registry and pickles look for it."""
    imported(
        f"{statement}\nimport importlib\nmodule = importlib.import_module('pipeline.losses.laplace_kl')\n"
        "assert laplace_kl is module.laplace_kl and module.LOSS.__name__ == 'LaplaceKL'"
    )


@pytest.mark.parametrize("package", ["pipeline", "pipeline.losses", "pipeline.models", "pipeline.heatmaps"])
def test_all_that_a_package_offers_is_there(package):
    module = importlib.import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError):
        _ = module.nothing_of_this_name


def test_every_packaged_loss_and_network_is_offered_by_its_package():
    for kind in ("loss", "model", "discriminator"):
        package = importlib.import_module(KINDS[kind].package)
        for name in names(kind):
            assert getattr(package, find(kind, name).__name__) is find(kind, name)
