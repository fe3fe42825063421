"""Provenance: what it says, and what it keeps to itself."""

from __future__ import annotations

import getpass
import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.evaluation import provenance


def test_everything_is_json_and_nothing_is_private():
    found = provenance.collect("c0ffee", 7, checkpoint="step-100", selection="lowest validation NME")
    text = json.dumps(found)
    assert found["config_hash"] == "c0ffee"
    assert found["seed"] == 7
    assert found["checkpoint"] == "step-100"
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["numpy"]
    assert found["hardware"]["cores"] >= 1
    assert found["hardware"]["cpu"]
    assert platform.node() not in text
    assert str(Path.home()) not in text
    assert getpass.getuser() not in text or getpass.getuser() in {"root", "runner"}


def test_the_commit_is_gits():
    here = Path(provenance.__file__).parent
    tracked = ["git", "-C", str(here), "ls-files", "--error-unmatch", "provenance.py"]
    if subprocess.run(tracked, capture_output=True, check=False).returncode:
        pytest.skip("not a git checkout")
    head = subprocess.run(
        ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    found = provenance.commit()
    assert found["commit"] == head.stdout.strip()
    assert re.fullmatch("[0-9a-f]{40}", found["commit"])
    assert found["dirty"] in (True, False)


def repository(folder: Path) -> Path:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)

    file = folder / "provenance.py"
    file.write_text("1\n")
    (folder / "other.py").write_text("1\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "x")
    return file


def test_a_changed_tracked_file_is_dirty_and_an_untracked_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_HERE", repository(tmp_path))
    assert provenance.commit()["dirty"] is False
    (tmp_path / "scratch.txt").write_text("notes")
    assert provenance.commit()["dirty"] is False
    (tmp_path / "other.py").write_text("2\n")
    assert provenance.commit()["dirty"] is True


def test_somebody_elses_repository_around_an_installed_copy_is_not_ours(tmp_path, monkeypatch):
    repository(tmp_path)
    installed = tmp_path / "venv" / "provenance.py"
    installed.parent.mkdir()
    installed.write_text("1\n")
    monkeypatch.setattr(provenance, "_HERE", installed)
    monkeypatch.delenv(provenance.COMMIT_VARIABLE, raising=False)
    assert provenance.commit() == {"commit": None, "dirty": None}
    monkeypatch.setenv(provenance.COMMIT_VARIABLE, "abc123")
    assert provenance.commit() == {"commit": "abc123", "dirty": None}


def test_no_git_at_all(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv(provenance.COMMIT_VARIABLE, raising=False)
    assert provenance.commit() == {"commit": None, "dirty": None}


def test_gpu_only_where_torch_is_already_there(monkeypatch):
    class Cuda:
        is_available = staticmethod(lambda: True)
        device_count = staticmethod(lambda: 2)
        get_device_name = staticmethod(lambda index: f"GPU {index}")

    monkeypatch.setitem(sys.modules, "torch", type("torch", (), {"cuda": Cuda}))
    assert provenance.hardware()["gpus"] == ["GPU 0", "GPU 1"]
    monkeypatch.delitem(sys.modules, "torch")
    assert provenance.hardware()["gpus"] == []
    assert "torch" not in sys.modules


def test_an_extra_cannot_overwrite():
    with pytest.raises(ValueError, match="'versions'"):
        provenance.collect(None, None, versions={})


def test_provenance_as_text():
    collected = {
        "seed": 0,
        "commit": None,
        "dirty": False,
        "versions": {"torch": "2", "deep": {"x": ()}},
        "gpus": [],
    }
    assert provenance.flat(collected | {"seeds": (0, 1), "note": ""}) == {
        "seed": "0",
        "commit": "–",
        "dirty": "False",
        "versions.torch": "2",
        "versions.deep.x": "–",
        "gpus": "–",
        "seeds": "0, 1",
        "note": "–",
    }
