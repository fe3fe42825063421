"""The package in a ConfigMap, unpacked by Ray's own code as every node would."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

import pytest

from jobs.submission.kubernetes import archive as archives
from jobs.submission.kubernetes.archive import ADDRESS, FILE, archive, config_map
from pipeline.errors import ConfigError


def unpacked(package: bytes, folder: Path) -> Path:
    """Where Ray's agent unpacks it, given the address that a runtime environment would have."""
    from ray._private.runtime_env.packaging import download_and_unpack_package

    mount, session = folder / "mount", folder / "session"
    mount.mkdir()
    session.mkdir()
    (mount / FILE).write_bytes(package)
    return Path(asyncio.run(download_and_unpack_package(f"file://{mount / FILE}", str(session))))


@pytest.mark.parametrize(
    "names", [("a.yaml", "my_team/loss.py"), ("configs/a.yaml",)], ids=["two", "one folder"]
)
def test_ray_unpacks_the_files_where_they_were(tmp_path, names):
    here = tmp_path / "here"
    for name in names:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(f"content of {name}")
    (here / names[0]).chmod(0o755)
    found = unpacked(archive(here, [Path(name) for name in names]), tmp_path)
    files = {path.relative_to(found).as_posix(): path for path in found.rglob("*") if path.is_file()}
    assert {name: path.read_text() for name, path in files.items()} == {n: f"content of {n}" for n in names}
    assert os.access(files[names[0]], os.X_OK)


def test_ray_takes_the_address_as_a_working_directory():
    from ray.runtime_env import RuntimeEnv

    assert RuntimeEnv(working_dir=ADDRESS, env_vars={"A": "1"})["working_dir"] == ADDRESS


def test_bytes_depend_on_contents_alone(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    first = archive(tmp_path, [Path("a.py")])
    os.utime(tmp_path / "a.py", (1, 1))
    assert archive(tmp_path, [Path("a.py")]) == first
    (tmp_path / "a.py").write_text("x = 2\n")
    assert archive(tmp_path, [Path("a.py")]) != first


def test_what_a_config_map_cannot_hold_is_refused_with_the_largest_files(tmp_path):
    (tmp_path / "small.py").write_text("x = 1\n")
    (tmp_path / "noise.csv").write_bytes(os.urandom(1_100_000))
    with pytest.raises(
        ConfigError, match=r"1\.10 MB compressed.*noise\.csv \(1\.1 MB\), small\.py.*\.landmarksignore"
    ):
        archive(tmp_path, [Path("small.py"), Path("noise.csv")])


def test_this_repository_fits_with_room_to_spare():
    from jobs.submission.package import package_files

    root = Path(__file__).resolve().parents[4]
    package = archive(root, package_files(root))
    assert len(package) < 0.75 * archives._LIMIT


def test_config_map_holds_the_bytes():
    made = config_map("a", "b", b"\x00\xff")
    assert base64.b64decode(made["binaryData"][FILE]) == b"\x00\xff"
    assert made["metadata"] == {"name": "a", "namespace": "b"}
