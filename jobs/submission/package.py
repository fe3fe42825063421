"""The package shipped to the cluster: sources and configs of the working directory, never data, results or secrets."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pathspec import GitIgnoreSpec

from pipeline.errors import ConfigError

IGNORE_FILE = ".landmarksignore"
LIMIT_VARIABLE = "LANDMARKS_PACKAGE_MIB"
LIMIT_MIB = 64.0
"""Every node unpacks the package, and the cluster's head keeps it in memory; sources are a hundredth of this."""

EXCLUDED = (
    # Hidden: repositories, environments, caches, and what people keep secrets in (.env, .netrc, .aws).
    ".*",
    *("venv/", "env/", "node_modules/", "__pycache__/", "*.py[cod]", "*.egg-info/", "/build/", "/dist/"),
    # Results and data; relative paths lead to shared storage, not into the package.
    *("/outputs/", "/results/", "/data/", "/tests/", "mlruns/", "mlartifacts/", "checkpoints/"),
    *("*.tar", "*.tar.*", "*.tgz", "*.zip", "*.7z", "*.rar", "*.gz", "*.bz2", "*.xz", "*.zst"),
    *("*.jpg", "*.jpeg", "*.png", "*.bmp", "*.gif", "*.webp", "*.tif", "*.tiff", "*.mp4", "*.avi", "*.mov"),
    *("*.safetensors", "*.pt", "*.pth", "*.pt2", "*.ckpt", "*.onnx", "*.pkl", "*.pickle", "*.bin"),
    *("*.npy", "*.npz", "*.mat", "*.h5", "*.hdf5", "*.parquet", "*.arrow", "*.db", "*.sqlite", "*.sqlite3"),
    *("*.log", "*.pdf", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*", "auth_token"),
)
"""Patterns in gitignore's syntax; ``.gitignore`` and ``.landmarksignore`` of the working directory come after them."""


def package_files(folder: Path) -> list[Path]:
    """Files that are shipped, relative to the folder, sorted."""
    # Cameras write IMG_0001.JPG.
    lines = [*EXCLUDED, *(pattern.upper() for pattern in EXCLUDED if pattern.startswith("*."))]
    for name in (".gitignore", IGNORE_FILE):
        if (folder / name).is_file():
            lines += (folder / name).read_text(encoding="utf-8").splitlines()
    excluded = GitIgnoreSpec.from_lines(lines)

    def walk() -> Iterator[Path]:
        for at, folders, files in os.walk(folder):
            here = Path(at).relative_to(folder)
            folders[:] = [f for f in folders if not excluded.match_file(f"{(here / f).as_posix()}/")]
            for name in files:
                path = here / name
                if not excluded.match_file(path.as_posix()) and (folder / path).is_file():
                    yield path

    return sorted(walk())


def check_size(folder: Path, files: list[Path]) -> int:
    """Bytes of the files.

    Raises:
        ConfigError: More than the limit; the message names the largest files and how to leave them out.
    """
    sizes = {path: (folder / path).stat().st_size for path in files}
    total = sum(sizes.values())
    given = os.environ.get(LIMIT_VARIABLE) or str(LIMIT_MIB)
    try:
        limit = float(given)
    except ValueError as error:
        raise ConfigError(f"{LIMIT_VARIABLE} = {given!r}: give a number of MiB") from error
    if total > limit * 2**20:
        largest = largest_of(sizes)
        listed = ", ".join(f"{path.as_posix()} ({sizes[path] / 2**20:.1f} MiB)" for path in largest)
        raise ConfigError(
            f"{folder}: the package would hold {len(files):,} files, {total / 2**20:.1f} MiB, over the limit of {limit:g} MiB. "
            f"The largest: {listed}. Leave out what the job does not need with lines in {IGNORE_FILE} (gitignore's syntax, e.g. "
            f"{_pattern(largest[0])}), submit from a smaller folder, or set {LIMIT_VARIABLE}"
        )
    return total


def largest_of(sizes: Mapping[Path, int]) -> list[Path]:
    """The five largest files, largest first."""
    return sorted(sizes, key=lambda path: (-sizes[path], path))[:5]


def _pattern(path: Path) -> str:
    return f"/{path.parts[0]}/" if len(path.parts) > 1 else f"/{path.name}"


def shipped(folder: Path, configs: Iterable[Path]) -> tuple[list[Path], int]:
    """The package's files, relative to the folder, and their bytes; the command's configs are among them.

    Raises:
        ConfigError: A config is left out, or the package is too large.
    """
    files = package_files(folder)
    size = check_size(folder, files)
    for config in configs:
        if config not in files:
            raise ConfigError(
                f"{config}: not in the package: a line of .gitignore or .landmarksignore, or one of the package's own rules, "
                f"leaves it out; bring it back with a line '!/{config.as_posix()}' in .landmarksignore"
            )
    return files, size


def write_package(folder: Path, files: list[Path], target: Path) -> None:
    """Write the files as a zip whose bytes depend on names and contents alone: Ray knows a package by its hash."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in files:
            executable = (folder / path).stat().st_mode & 0o100
            entry = zipfile.ZipInfo(path.as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (folder / path).read_bytes())
