"""The configs that come with the project: in a checkout beside the packages, in an installation within ``pipeline``."""

from __future__ import annotations

from pathlib import Path

import yaml

from pipeline.errors import ConfigError, did_you_mean
from pipeline.storage import write_text

FOLDER = "configs"


def shipped_folder() -> Path:
    """Where they lie."""
    package = Path(__file__).resolve().parents[2]
    return package / FOLDER if (package / FOLDER).is_dir() else package.parent / FOLDER


def shipped(path: Path) -> Path:
    """A config's path; that of the shipped one where there is no such file here: ``configs/demo.yaml`` works in any folder."""
    if path.is_absolute() or path.parts[:1] != (FOLDER,) or path.exists():
        return path
    own = shipped_folder().joinpath(*path.parts[1:])
    return own if own.is_file() else path


def names() -> list[str]:
    """Names of the shipped experiments, sorted."""
    return sorted(path.stem for path in shipped_folder().glob("*.yaml"))


def copy_experiment(name: str, folder: Path) -> list[Path]:
    """Copy a shipped experiment and the pieces it is composed of, comments and all, to be edited.

    Args:
        name: Of the experiment, ``laplace_300w``.
        folder: Gets ``configs/NAME.yaml`` and ``configs/pieces/…``.

    Returns:
        The files written: the experiment first, then the pieces that were not there yet.

    Raises:
        ConfigError: No such experiment, or its file is there already.
        StorageError: They cannot be written.
    """
    name = name.removesuffix(".yaml")
    if name not in names():
        raise ConfigError(
            f"no experiment '{name}': {did_you_mean(name, names())}known are {', '.join(names())}"
        )
    target = folder / FOLDER / f"{name}.yaml"
    if target.exists():
        raise ConfigError(f"{target}: there already; edit it, or remove it to begin anew")
    # Pieces first: an experiment that is there is whole.
    files = [file for file in reversed(_with_pieces(f"{name}.yaml")) if not (folder / FOLDER / file).exists()]
    for file in files:
        write_text(str(folder / FOLDER / file), (shipped_folder() / file).read_text(encoding="utf-8"))
    return [folder / FOLDER / file for file in reversed(files)]


def _with_pieces(file: str) -> list[str]:
    """A file of the folder and all that it extends, at any depth, each once."""
    found, todo = [], [file]
    while todo:
        current = todo.pop(0)
        if current in found:
            continue
        found.append(current)
        content = yaml.safe_load((shipped_folder() / current).read_text(encoding="utf-8"))
        extended = content.get("extends") or []
        parent = Path(current).parent
        todo += [
            (parent / piece).as_posix() for piece in ([extended] if isinstance(extended, str) else extended)
        ]
    return found
