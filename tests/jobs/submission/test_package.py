"""What is shipped, what never is, how much at most; the same files give the same bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from jobs.submission.package import check_size, package_files, write_package
from pipeline.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path):
    for name in (
        *("train.yaml", "pieces/data/a.yaml", "my_team/focal.py", "notes.txt", "run.sh"),
        *(".env", ".git/config", ".venv/lib/x.py", "outputs/runs/x/config.yaml", "data/a.csv", "tests/t.py"),
        *("my_team/__pycache__/focal.pyc", "face.JPG", "a/face.jpg", "shard.tar", "w.safetensors", "id_rsa"),
        *("mlflow.db", "tls.key", "ignored/x.py", "big.csv", "wanted.png"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".gitignore").write_text("ignored/\n")
    (tmp_path / ".landmarksignore").write_text("# ours\nbig.csv\n!/wanted.png\n")
    (tmp_path / "run.sh").chmod(0o755)
    return tmp_path


def test_sources_and_configs_and_nothing_else(folder):
    assert [path.as_posix() for path in package_files(folder)] == [
        *("my_team/focal.py", "notes.txt", "pieces/data/a.yaml", "run.sh", "train.yaml"),
        "wanted.png",
    ]


def test_this_repository_ships_its_sources():
    files = {path.as_posix() for path in package_files(REPOSITORY)}
    assert {"jobs/cli.py", "pipeline/markups/ibug68.yaml", "configs/demo.yaml", "pyproject.toml"} <= files
    tops = {name.partition("/")[0] for name in files}
    assert not tops & {".git", ".venv", "tests", "results", "outputs"}
    sources = {p.relative_to(REPOSITORY).as_posix() for p in (REPOSITORY / "pipeline").rglob("*.py")}
    assert sources <= files
    assert {p.relative_to(REPOSITORY).as_posix() for p in (REPOSITORY / "pipeline").rglob("*.j2")} <= files
    assert check_size(REPOSITORY, package_files(REPOSITORY)) < 8 * 2**20


def test_the_package_depends_on_contents_alone(folder, tmp_path):
    files = package_files(folder)
    write_package(folder, files, tmp_path / "one.zip")
    (folder / "train.yaml").touch()
    write_package(folder, files, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    (folder / "train.yaml").write_text("other")
    write_package(folder, files, tmp_path / "three.zip")
    assert (tmp_path / "one.zip").read_bytes() != (tmp_path / "three.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "three.zip") as archive:
        assert archive.read("train.yaml") == b"other"
        assert {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()} == {
            path.as_posix(): 0o755 if path.name == "run.sh" else 0o644 for path in files
        }


def test_too_large_names_the_largest(folder, monkeypatch):
    for number in range(7):
        (folder / "tables").mkdir(exist_ok=True)
        (folder / "tables" / f"{number}.csv").write_bytes(bytes((number + 1) * 2**18))
    files = package_files(folder)
    total = sum((folder / path).stat().st_size for path in files)
    assert check_size(folder, files) == total
    monkeypatch.setenv("LANDMARKS_PACKAGE_MIB", "5")
    with pytest.raises(ConfigError) as caught:
        check_size(folder, files)
    message = str(caught.value)
    listed = [f"tables/{n}.csv ({(n + 1) / 4:.1f} MiB)" for n in (6, 5, 4, 3, 2)]
    assert ", ".join(listed) in message
    assert "tables/1.csv" not in message
    assert ".landmarksignore" in message
    assert "/tables/" in message
    monkeypatch.setenv("LANDMARKS_PACKAGE_MIB", "many")
    with pytest.raises(ConfigError, match="a number of MiB"):
        check_size(folder, files)
