"""A request to the cluster, checked here, before anything is sent: the verb, its arguments, its config."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from jobs.settings import experiment, prepare_config
from jobs.submission.secrets import has_credentials
from pipeline.errors import ConfigError, did_you_mean
from pipeline.shards.prepare_config import PrepareConfig
from pipeline.storage import is_local, local_path
from pipeline.training.config.compose import compose_raw
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.identity import WHERE

VERBS = ("prepare", "verify", "train", "tune", "scale", "selftrain", "evaluate")
_TRACKED = frozenset({"train", "tune", "scale", "selftrain"})
_YAML = (".yaml", ".yml")
Parser = Callable[[str, Sequence[str]], dict[str, Any]]


@dataclass(frozen=True)
class Request:
    """A checked command.

    Attributes:
        verb: One of ``VERBS``.
        arguments: As they run on the cluster: configs relative to the working directory.
        name: Of the run, or of what is measured.
        config_hash: Of the resolved config, or None where there is no single one.
        tracking: Where the verb tracks, or None if it does not.
        storage: Folder of its results, as the config names it.
        relative: Relative paths it reads or writes, as ``key = path``.
        remote: Its paths in object stores, likewise.
        configs: Files the package must hold, relative to the working directory.
    """

    verb: str
    arguments: tuple[str, ...]
    name: str
    config_hash: str | None = None
    tracking: str | None = None
    storage: str | None = None
    relative: tuple[str, ...] = ()
    remote: tuple[str, ...] = ()
    configs: tuple[Path, ...] = ()

    @property
    def entrypoint(self) -> str:
        """The job's command line."""
        return shlex.join(["python", "-m", "jobs.cli", self.verb, *self.arguments])


def check_request(verb: str, arguments: Sequence[str], parse: Parser) -> Request:
    """Validate a command as the command line itself would, without running it.

    Args:
        verb: What to run.
        arguments: The verb's own.
        parse: The command line's way from arguments to parameters.

    Raises:
        ConfigError: No such verb, bad arguments, a config that does not validate or is not in the working directory.
    """
    if verb not in VERBS:
        raise ConfigError(
            f"no verb '{verb}' to submit: {did_you_mean(verb, VERBS)}there are {', '.join(VERBS)}"
        )
    if any(has_credentials(argument) for argument in arguments):
        raise ConfigError(
            "an argument holds an address with a password, and a job's command can be read by everybody who sees the cluster's "
            "dashboard: put user and password into the environment of the cluster's processes (MLFLOW_TRACKING_USERNAME, …)"
        )
    parameters = parse(verb, arguments)
    named = parameters.get("runs") or parameters.get("manifests") or [parameters.get("config")]
    configs = {argument: _inside(argument) for argument in named if argument.endswith(_YAML)}
    if "config" in parameters and not configs:
        # Named like a folder or a word: the composer says best what is wrong with it.
        configs = {parameters["config"]: _inside(parameters["config"])}
    request = Request(
        verb=verb,
        arguments=tuple(configs[a].as_posix() if a in configs else a for a in arguments),
        name="",
        configs=tuple(dict.fromkeys(piece for path in configs.values() for piece in _with_pieces(path))),
    )
    overrides = [*(parameters.get("overrides") or ()), *(parameters.get("override") or ())]
    if verb in {"evaluate", "verify"}:
        return _of_several(request, list(named), overrides, parameters)
    config = str(configs[parameters["config"]])
    if verb == "prepare":
        return _of_prepare(request, config, overrides)
    return _of_experiment(request, config, overrides)


def _inside(argument: str) -> Path:
    """A config's path relative to the working directory, which is what the job will see."""
    here, path = Path.cwd(), Path(os.path.abspath(Path(argument).expanduser()))  # noqa: PTH100  # keeps symlinks
    if not path.is_relative_to(here):
        raise ConfigError(
            f"{argument}: the job gets a copy of the working directory ({here}), and this config is not in it; submit from a "
            "folder that holds it, or copy it here"
        )
    return path.relative_to(here)


def _with_pieces(path: Path) -> Iterator[Path]:
    """A config and all it extends."""
    yield path
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return  # composing it says what is wrong
    pieces = raw.get("extends", []) if isinstance(raw, dict) else []
    for piece in [pieces] if isinstance(pieces, str) else pieces:
        below = _inside(str(path.parent / str(piece)))
        if below != path:
            yield from _with_pieces(below)


def _of_experiment(request: Request, config: str, overrides: Sequence[str]) -> Request:
    resolved = experiment(config, overrides)
    section = getattr(resolved, request.verb, None)
    if request.verb in {"tune", "scale", "selftrain"} and section is None:
        raise ConfigError(f"{config}: has no section '{request.verb}'")
    paths = _data_paths(resolved) | _tracking_paths(resolved) | {"cluster.storage": resolved.cluster.storage}
    if section is not None:
        paths[f"{request.verb}.storage"] = section.storage
    return replace(
        request,
        name=resolved.name,
        # A search's space is part of what it does; of a training it is not.
        config_hash=config_hash(resolved, WHERE - {request.verb}),
        tracking=resolved.tracking.uri if request.verb in _TRACKED else None,
        storage=section.storage if section is not None else resolved.cluster.storage,
        relative=_relative(paths),
        remote=_remote(paths),
    )


def _of_prepare(request: Request, config: str, overrides: Sequence[str]) -> Request:
    section: PrepareConfig = prepare_config(config, overrides)
    paths = {"prepare.out": section.out}
    for entry in section.sets:
        for key in ("root", "path"):
            value = entry.reader.get(key)
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, str):
                    paths[f"prepare.sets.{entry.name}.reader.{key}"] = path
    name = compose_raw(config, overrides).get("name") or Path(config).stem
    return replace(
        request,
        name=str(name),
        config_hash=config_hash(section),
        storage=section.out,
        relative=_relative(paths),
        remote=_remote(paths),
    )


def _of_several(
    request: Request, named: list[str], overrides: Sequence[str], parameters: dict[str, Any]
) -> Request:
    paths: dict[str, str] = {}
    for argument in named:
        if not argument.endswith(_YAML):
            paths[argument] = argument
            continue
        resolved = experiment(argument, overrides)
        paths |= _data_paths(resolved)
        if request.verb == "evaluate":
            paths["cluster.storage"] = resolved.cluster.storage
    for key in ("data", "out"):
        if parameters.get(key):
            paths[f"--{key}"] = parameters[key]
    digest = hashlib.sha256(shlex.join(request.arguments).encode()).hexdigest()[:8]
    return replace(
        request, name=digest, storage=parameters.get("out"), relative=_relative(paths), remote=_remote(paths)
    )


def _data_paths(config: ExperimentConfig) -> dict[str, str]:
    found = {f"data.{key}": path for key, path in config.data.sets().items()}
    return found | ({"init.model": config.init.model} if config.init is not None else {})


def _tracking_paths(config: ExperimentConfig) -> dict[str, str]:
    scheme, uri = "sqlite:///", config.tracking.uri
    if not uri.startswith(scheme):
        return {}
    return {"tracking.uri": uri.removeprefix(scheme), "tracking.artifacts": config.tracking.artifacts}


def _relative(paths: dict[str, str]) -> tuple[str, ...]:
    return _named(paths, lambda path: is_local(path) and not local_path(path).expanduser().is_absolute())


def _remote(paths: dict[str, str]) -> tuple[str, ...]:
    return _named(paths, lambda path: "://" in path and not is_local(path))


def _named(paths: dict[str, str], chosen: Callable[[str], bool]) -> tuple[str, ...]:
    return tuple(f"{key} = {path}" if key != path else path for key, path in paths.items() if chosen(path))
