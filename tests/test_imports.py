"""Which package may import which, by what the files say; and what an import really brings along.

Parts stay light: the losses need torch alone, and the command line starts before anything heavy is imported.
"""

from __future__ import annotations

import ast
import functools
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.registry import KINDS, find, names

ROOT = Path(__file__).parent.parent

# From the bottom up: a package or module imports what stands on the lines above its own, never its own line or below.
LAYERS = """
pipeline
pipeline.errors pipeline.words
pipeline.object_store pipeline.markup_difference pipeline.markup_fields
pipeline.strict pipeline.plain pipeline.precision pipeline.storage pipeline.registry pipeline.markup
pipeline.ownership pipeline.describe
pipeline.markup_mapping pipeline.synthetic pipeline.faces pipeline.augment pipeline.heatmaps pipeline.models
pipeline.datasets pipeline.losses pipeline.evaluation pipeline.markup_meeting
pipeline.shards
pipeline.methods
pipeline.training
pipeline.inference
pipeline.studies
jobs jobs.arguments jobs.signals jobs.tables
jobs.settings jobs.cluster
jobs.submission jobs.dry_run jobs.health
jobs.prepare jobs.verify jobs.train jobs.evaluate jobs.calibrate jobs.predict jobs.export jobs.new jobs.submit jobs.submitted
jobs.checkpoint jobs.doctor jobs.rounds jobs.help jobs.model_commands jobs.job_commands jobs.new_commands
jobs.tune jobs.scale jobs.selftrain jobs.demo jobs.plan
jobs.bench jobs.looking_commands
jobs.cli
"""

# Arrows that go up all the same, each with its reason. None is the aim.
ALLOWED: dict[tuple[str, str], str] = {}

# Parts that anybody may take away and use: what they import, at any depth, is torch, numpy and the like.
PURE = ("pipeline.losses", "pipeline.models", "pipeline.heatmaps", "pipeline.evaluation.metrics")
NOT_PURE = {"ray", "deepspeed", "mlflow", "pydantic", "omegaconf", "fsspec"}

# The only places of the library that talk to these.
MACHINERY = {
    "fsspec": {"pipeline.object_store"},
    "ray": {"pipeline.training.worker"},
    "deepspeed": {"pipeline.training.engines"},
    "mlflow": {
        "pipeline.training.tracking",
        "pipeline.training.model_registry",
        "pipeline.inference.tracked",
    },
}

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
        ("from pipeline import Predictor", {"torch"}, HEAVY | {"omegaconf"}),
        ("import pipeline.evaluation.metrics.nme", {"numpy"}, HEAVY | {"torch", "fsspec"}),
        ("import pipeline.training.config, pipeline.training.tracking", {"pydantic"}, HEAVY),
        (
            "import jobs.settings, jobs.prepare, jobs.verify, jobs.submission.request",
            {"pydantic"},
            HEAVY | {"torch"},
        ),
        ("import jobs.settings, jobs.train, pipeline.training.loop", {"torch"}, HEAVY),
    ],
    ids=["cli", "losses and models", "pipeline", "predictor", "metrics", "config", "verbs", "training"],
)
def test_what_an_import_brings_along(statement, needed, unwanted):
    found = imported(statement)
    assert needed <= found
    assert not found & unwanted


@functools.cache
def modules() -> dict[str, Path]:
    """Every module of the project by its dotted name; a package is its ``__init__``."""
    found = {}
    for top in ("pipeline", "jobs"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All below a node, functions' bodies too, but for what only type checkers see and what a script does as such."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in {
            "TYPE_CHECKING",
            "__name__ == '__main__'",
        }:
            continue
        yield child
        yield from statements(child)


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    """What a module imports: the project's modules in full, of others the top-level package."""
    known, found = modules(), set()
    for node in statements(ast.parse(known[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in full if name in known} or {node.module}
    return frozenset(name if name in known else name.partition(".")[0] for name in found)


def unit(module: str) -> str:
    """What the layers speak of: ``pipeline.shards`` for all that lies in it, ``jobs.train`` for itself."""
    return ".".join(module.split(".")[:2])


def test_arrows_go_one_way():
    heights = {name: height for height, line in enumerate(LAYERS.split("\n")) for name in line.split()}
    units = {unit(module) for module in modules()}
    assert units == set(heights), "give every package and module its place in LAYERS"
    arrows = {
        (unit(module), unit(other)): f"{module} imports {other}"
        for module in modules()
        for other in imports_of(module)
        if other in modules() and unit(other) != unit(module)
    }
    assert len(arrows) > 100
    up = {arrow: where for arrow, where in arrows.items() if heights[arrow[1]] >= heights[arrow[0]]}
    assert up.keys() == ALLOWED.keys(), "\n".join(up.values())


def test_private_names_stay_where_they_are():
    taken = [
        f"{module}: {node.module}.{alias.name}"
        for module, path in modules().items()
        for node in statements(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module in modules()
        for alias in node.names
        if alias.name.startswith("_") and f"{node.module}.{alias.name}" not in modules()
    ]
    assert not taken


@pytest.mark.parametrize(("machinery", "places"), MACHINERY.items(), ids=MACHINERY)
def test_machinery_has_its_places(machinery, places):
    assert {m for m in modules() if m.startswith("pipeline.") and machinery in imports_of(m)} == places


def test_scripts_and_type_checkers_do_not_count():
    tree = ast.parse(
        "import a\nif TYPE_CHECKING:\n    import b\ndef f():\n    import c\nif __name__ == '__main__':\n    import d\n"
    )
    found = [node.names[0].name for node in statements(tree) if isinstance(node, ast.Import)]
    assert found == ["a", "c"]


@pytest.mark.parametrize("package", PURE)
def test_parts_need_nothing_of_the_machinery(package):
    todo = [name for name in modules() if f"{name}.".startswith(f"{package}.")]
    assert todo
    seen: set[str] = set()
    while todo:
        module = todo.pop()
        seen.add(module)
        todo += [name for name in imports_of(module) if name in modules() and name not in seen]
    assert "pipeline.training" not in {unit(module) for module in seen}
    outside = {name: module for module in seen for name in imports_of(module) if name in NOT_PURE}
    assert not outside


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
