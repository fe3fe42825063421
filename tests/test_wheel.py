"""The wheel, installed into an environment of its own, works in an empty folder: configs, markups and prediction come with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.methods.build import make_generator
from pipeline.methods.model_file import ModelDescription, save_model
from pipeline.registry import Part
from pipeline.shards.manifest import CropPolicy

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path) -> str:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy of what the repository holds: a build leaves files beside the sources."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pipeline", "jobs", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    out = tmp_path_factory.mktemp("dist")
    run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", out, source, cwd=out
    )  # fmt: skip
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def landmarks(wheel, tmp_path_factory) -> Path:
    """The command, in an environment that holds the wheel alone; what it depends on is lent by this one."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    run(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=home
    )
    (site,) = home.glob("lib/python*/site-packages")
    # A path alone: an editable installation of the project there is not followed.
    (site / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    where = run(python, "-c", "import pipeline, jobs; print(pipeline.__file__, jobs.__file__)", cwd=home)
    assert all(Path(file).is_relative_to(site) for file in where.split())
    return home / "bin" / "landmarks"


def test_the_wheel_carries_configs_and_markups(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"pipeline/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.yaml")}
    assert len(shipped) > 20
    assert shipped <= names
    assert "pipeline/markups/ibug68.yaml" in names
    assert not [name for name in names if name.startswith(("tests", "configs", "setup"))]


def test_it_works_in_an_empty_folder(landmarks, tmp_path):
    assert run(landmarks, "--version", cwd=tmp_path).startswith("landmark-pipeline ")
    told = run(landmarks, "new", "experiment", "laplace_300w", cwd=tmp_path)
    assert "wrote configs/laplace_300w.yaml" in told
    assert (tmp_path / "configs/laplace_300w.yaml").read_text() == (
        ROOT / "configs/laplace_300w.yaml"
    ).read_text()
    # One that was copied, and one that was not.
    for config in ("configs/laplace_300w.yaml", "configs/demo.yaml"):
        code = f"from jobs.settings import experiment; print(experiment({config!r}, []).name)"
        assert run(landmarks.with_name("python"), "-c", code, cwd=tmp_path).strip() in {
            "laplace-300w",
            "demo",
        }


def test_it_predicts(landmarks, tmp_path):
    part = Part.model_validate({"name": "rcn", "width": 4})
    description = ModelDescription(
        name="toy", model=part, loss=Part(name="laplace_kl"), markup="ibug68", num_landmarks=68, input_size=64, step=7,
        crop=CropPolicy(points="detector", side_factor=3.0, size=80, jpeg_quality=95), averaged=False, parameters=1,
        config_hash="abc", seed=0,
    )  # fmt: skip
    torch.manual_seed(0)
    save_model(
        str(tmp_path / "model"), description, make_generator(part, description.layout, 64).state_dict()
    )
    face = SyntheticFaces(1, seed=3, size=160, near_frontal=True).records()[0].load()
    Image.fromarray(face.image_HW3).save(tmp_path / "photo.png")
    run(landmarks, "predict", "model", "photo.png", "--out", "a.jsonl", cwd=tmp_path)
    line = json.loads((tmp_path / "a.jsonl").read_text())
    assert line["image"] == "photo.png"
    assert [len(found["points"]) for found in line["faces"]] == [68]
