"""A real run's checkpoints, damaged in every way: all of it is found, and a resume goes on from the newest whole one."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from torch import equal

from jobs.checkpoint import show
from pipeline.methods.model_file import WEIGHTS
from pipeline.training.integrity import CHECKPOINT_MANIFEST, damage, digests, read_seal, seal

HASH = "0123456789ab"


def config(root: Path, name: str, toy_sets: dict[str, Path], config_hash: str = HASH) -> dict:
    """A config of six steps with a checkpoint every two, in ZeRO 1, which has the most files."""
    return {
        "config_hash": config_hash,
        "name": name,
        "data": {**{k: str(toy_sets[k]) for k in ("train", "unlabelled")}, "streams": 4},
        "model": {"name": "rcn", "width": 4, "dropout": 0.2},
        "unlabelled": {
            "objective": {"name": "adversarial", "discriminator": {"name": "patchgan", "width": 4}}
        },
        "training": {
            "epochs": None, "steps": 6, "batch": 4, "ema_decay": 0.9, "select": "last",
            "checkpoint_every": 2 / 15, "image_every": 100.0,
        },
        "cluster": {"storage": str(root / "runs"), "zero_stage": 1},
    }  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory, toy_sets, train_plainly) -> Path:
    """Folder of a finished run."""
    root = tmp_path_factory.mktemp("resume")
    assert train_plainly(config(root, "whole", toy_sets)) == [{"said": [], "error": None}]
    return root / "runs" / "whole"


@pytest.fixture
def copied(run, tmp_path) -> Path:
    """One checkpoint, for a test to damage."""
    return Path(shutil.copytree(run / "step-000000004", tmp_path / "step-000000004"))


def test_a_checkpoint_lists_every_file_of_it(run):
    names = sorted(p.name for p in run.glob("step-*"))
    assert names == ["step-000000002", "step-000000004", "step-000000006"]
    for name in names:
        assert damage(str(run / name)) == ()
    found = read_seal(str(run / "step-000000004"))
    assert (found.step, found.config_hash, found.world_size, found.zero_stage) == (4, HASH, 1, 1)
    # Both engines' weights and moments, the average, and where the run stands.
    assert {Path(name).parts[0] for name in found.files} == {
        "generator",
        "discriminators",
        "average.safetensors",
        "state.json",
    }
    assert sum(name.endswith("optim_states.pt") for name in found.files) == 2


def test_every_one_of_many_damages_is_found(copied):
    rng = np.random.default_rng(12)
    files = sorted(path for path in copied.rglob("*") if path.is_file())
    tried = 0
    while tried < 160:
        path = files[tried % len(files)]
        content = path.read_bytes()
        changed = bytearray(content)
        if tried % 2 == 0:
            changed[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        else:
            start = int(rng.integers(len(content)))
            changed[start : start + 512] = bytes(len(changed[start : start + 512]))
        if changed == content:  # zeros that were there
            continue
        path.write_bytes(changed)
        found = damage(str(copied))
        assert len(found) == 1, (path, found)
        assert path.relative_to(copied).as_posix() in found[0]
        path.write_bytes(content)
        tried += 1
    assert damage(str(copied)) == ()


@pytest.mark.parametrize("name", ["state.json", "generator/latest", CHECKPOINT_MANIFEST])
def test_missing_cut_and_foreign_files_are_named(copied, name):
    path = copied / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert name in damage(str(copied))[0]
    path.unlink()
    assert damage(str(copied)) == (f"{name} is missing",)
    path.write_bytes(content)
    # DeepSpeed takes what its folder holds for a part of another world size.
    (copied / "generator" / "engine" / "mp_rank_01_model_states.pt").write_bytes(b"")
    assert damage(str(copied)) == ("generator/engine/mp_rank_01_model_states.pt does not belong to it",)


def test_inspect_shows_which_are_whole(run, tmp_path, capsys):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / "config.yaml").write_text("name: run\n")
    assert show(str(folder))
    (folder / "step-000000004" / "average.safetensors").unlink()
    assert not show(str(folder))
    said = capsys.readouterr().out
    assert said.count("whole") == 3 + 2
    assert said.count("damaged") == 1
    assert said.endswith("step-000000004: average.safetensors is missing\n")


class Payload:
    """What a pickle may hold: an order to the process that reads it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


def resealed(folder: Path) -> None:
    """What somebody who can write into the folder does."""
    old = read_seal(str(folder))
    (folder / CHECKPOINT_MANIFEST).unlink()
    seal(
        folder, digests(folder), step=old.step, config_hash=old.config_hash, world_size=1, zero_stage=old.zero_stage
    )  # fmt: skip


def test_a_resume_takes_the_newest_whole_one_and_nothing_else(run, tmp_path, toy_sets, train_plainly):
    def cut_short(name: str, config_hash: str = HASH) -> tuple[dict, Path]:
        """A run that was killed between its fourth and its sixth step."""
        folder = tmp_path / "runs" / name
        shutil.copytree(
            run, folder, ignore=shutil.ignore_patterns("step-000000006", "models", "finished.json")
        )
        return config(tmp_path, name, toy_sets, config_hash), folder

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 16
        path.write_bytes(content)

    damaged, folder = cut_short("damaged")
    flip(folder / "step-000000004" / "generator" / "engine" / "mp_rank_00_model_states.pt")
    lost, lost_folder = cut_short("lost")
    for checkpoint in lost_folder.glob("step-*"):
        flip(checkpoint / "average.safetensors")
    other, _ = cut_short("other", "ba9876543210")
    hostile, hostile_folder = cut_short("hostile")
    target = hostile_folder / "step-000000004" / "discriminators" / "adversarial" / "engine"
    ran = tmp_path / "ran"
    (target / "mp_rank_00_model_states.pt").write_bytes(pickle.dumps({"module": Payload(ran)}))
    resealed(hostile_folder / "step-000000004")
    resumed, none, foreign, refused = train_plainly(damaged, lost, other, hostile)
    assert resumed["error"] is None
    assert "step-000000004 is damaged: generator/engine/mp_rank_00_model_states.pt" in resumed["said"][0]
    assert resumed["said"][1] == "goes on from step-000000002, the newest that is whole"
    # Which is the same run: the same weights to the bit, and a whole checkpoint where the damaged one was.
    ours, theirs = (load_file(f / "models" / "last" / WEIGHTS) for f in (folder, run))
    assert ours.keys() == theirs.keys()
    assert all(equal(ours[key], theirs[key]) for key in ours)
    assert damage(str(folder / "step-000000004")) == ()
    assert "no checkpoint of this run is whole" in none["error"]
    assert "step-000000002 is damaged: average.safetensors is not as it was written" in none["error"]
    assert f"of a run with config {HASH}, this one has ba9876543210" in foreign["error"]
    assert "cannot resume from this checkpoint" in refused["error"]
    assert not ran.exists()
