"""Composing a configuration: pieces, then the file, then dotted overrides; every unknown key fails with the nearest match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from pipeline.errors import ConfigError, did_you_mean, nearest
from pipeline.plain import flatten
from pipeline.training.config.parts import FilledPart
from pipeline.training.config.shipped import shipped

ConfigT = TypeVar("ConfigT", bound=BaseModel)
_EXTENDS = "extends"
_ABSENT = object()


def load_yaml(path: str | Path) -> DictConfig:
    """Read one YAML and the pieces it extends.

    ``extends: [data/synthetic.yaml, …]`` names pieces relative to the file; later ones override earlier ones, and the file
    itself overrides them all. A path ``configs/…`` that is not there is that of a shipped config. Sections are merged, key by
    key; but a section with another ``name`` (another model, loss, …) takes the place of the whole old one, whose parameters are
    not its own.

    Raises:
        ConfigError: Missing or malformed file, or a circle of ``extends``.
    """
    return _load(Path(path), ())


def _load(path: Path, chain: tuple[Path, ...]) -> DictConfig:
    path = shipped(path)
    resolved = path.resolve()
    if resolved in chain:
        raise ConfigError(
            f"{path}: 'extends' goes in a circle: {' → '.join(p.name for p in (*chain, resolved))}"
        )
    try:
        own = OmegaConf.load(path)
    except FileNotFoundError as error:
        near = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        hint = f"; {path.parent} holds: {', '.join(near)}" if near else ""
        raise ConfigError(f"{path}: no such config{hint}") from error
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a YAML config: {error}") from error
    if not isinstance(own, DictConfig):
        raise ConfigError(f"{path}: a config is a mapping of sections, this is a list")
    pieces = own.pop(_EXTENDS, [])
    if isinstance(pieces, str):
        pieces = [pieces]
    result = DictConfig({})
    for layer in (*(_load(path.parent / str(piece), (*chain, resolved)) for piece in pieces), own):
        _drop_renamed(result, layer)
        merged = OmegaConf.merge(result, layer)
        assert isinstance(merged, DictConfig)  # merging mappings gives a mapping
        result = merged
    return result


def _drop_renamed(old: DictConfig, new: DictConfig) -> None:
    """Take the sections out of ``old`` that ``new`` gives another name; the run's own name is not a section's."""
    plain_old, plain_new = OmegaConf.to_container(old), OmegaConf.to_container(new)
    assert isinstance(plain_old, dict)
    assert isinstance(plain_new, dict)
    for key, value in plain_new.items():
        before = plain_old.get(key)
        if not isinstance(value, dict) or not isinstance(before, dict):
            continue
        if _renamed(before, value):
            del old[key]
        else:
            _drop_renamed(old[key], new[key])


def _renamed(old: Any, new: Any) -> bool:
    both = isinstance(old, dict | DictConfig) and isinstance(new, dict | DictConfig)
    return both and "name" in old and "name" in new and old["name"] != new["name"]


def compose_raw(path: str | Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Load a config, apply ``dotted.key=value`` overrides, and resolve it to plain data.

    A number in a dotted key is a place in a list: ``prepare.sets.0.reader.count=100``. A whole section with another name replaces
    the old one: ``"loss={name: wing, omega: 5}"``; ``loss.name=wing`` keeps the parameters that are there.

    Raises:
        ConfigError: Naming the file or the override.
    """
    config = load_yaml(path)
    for override in overrides:
        key, parsed = _parsed(override)
        try:
            replaces = isinstance(parsed, list) or _renamed(OmegaConf.select(config, key), parsed)
            OmegaConf.update(config, key, parsed, merge=not replaces)
        except (OmegaConfBaseException, IndexError, TypeError, ValueError) as error:
            raise ConfigError(f"override {override!r}: {error}") from error
    try:
        raw = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{path}: {error}") from error
    assert isinstance(raw, dict)  # load_yaml returns mappings only
    return {str(key): value for key, value in raw.items()}


def _parsed(override: str) -> tuple[str, Any]:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"override {override!r}: write it as dotted.key=value, e.g. training.epochs=40")
    try:
        # From a list of one, so that 1e-3, null and [a, b] mean here what they mean in a file.
        return key, OmegaConf.from_dotlist([f"value={value}"])["value"]
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r} has no YAML value: {error}") from error
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        raise ConfigError(f"override {override!r}: {error}") from error


def parse_overrides(overrides: Sequence[str]) -> list[tuple[str, Any]]:
    """``dotted.key=value`` overrides as keys and plain values.

    Raises:
        ConfigError: Naming the override.
    """
    parsed = [_parsed(override) for override in overrides]
    return [(key, OmegaConf.to_container(v) if OmegaConf.is_config(v) else v) for key, v in parsed]


def compose(path: str | Path, overrides: Sequence[str], schema: type[ConfigT]) -> ConfigT:
    """Load a config, apply overrides, and validate it.

    Raises:
        ConfigError: Naming the file, the field and the remedy.
    """
    return validate(compose_raw(path, overrides), schema, str(path))


def with_values(config: ConfigT, values: Mapping[str, Any], origin: str) -> ConfigT:
    """A validated config with other values at dotted keys.

    Args:
        config: The config.
        values: Dotted key → plain value; a number in a key is a place in a list.
        origin: Where they come from, for messages.

    Raises:
        ConfigError: Naming the key.
    """
    raw = config.model_dump(mode="json")
    for key in values:
        _forget_defaults(raw, config, key)
    for key, value in values.items():
        *path, last = key.split(".")
        section: Any = raw
        for depth, part in enumerate(path):
            inner = _inside(section, part)
            if not isinstance(inner, dict | list):
                near = nearest(part, section) if isinstance(section, dict) and part not in section else None
                hint = f"; did you mean '{near}'?" if near else ""
                raise ConfigError(
                    f"{origin}: key '{key}': the config has no section '{'.'.join(path[: depth + 1])}'{hint}"
                )
            section = inner
        if isinstance(section, list):
            raise ConfigError(f"{origin}: key '{key}': names a place of a list; name a key inside it")
        section[last] = value
    return validate(raw, type(config), origin)


def _forget_defaults(raw: dict[str, Any], config: BaseModel, key: str) -> None:
    """Where a key names another part, the defaults that a section shows of the old one are not the new one's to have."""
    section, _, last = key.rpartition(".")
    if last != "name" or not section:
        return
    holder: Any = config
    for part in section.split("."):
        holder = getattr(holder, part, None)
        raw = raw.get(part) or {}
    if isinstance(holder, FilledPart):
        for name in holder.parameters.keys() - holder.spelled_out().keys():
            del raw[name]


def value_at(config: BaseModel, key: str) -> Any:
    """The plain value at a dotted key.

    Raises:
        KeyError: The config does not spell it out.
    """
    value: Any = config.model_dump(mode="json")
    for part in key.split("."):
        value = _inside(value, part)
        if value is _ABSENT:
            raise KeyError(key)
    return value


def _inside(section: Any, part: str) -> Any:
    """What a section has under a key, or a list at a place."""
    if isinstance(section, dict):
        return section.get(part, _ABSENT)
    if isinstance(section, list) and part.isdigit() and int(part) < len(section):
        return section[int(part)]
    return _ABSENT


def validate(raw: Any, schema: type[ConfigT], origin: str) -> ConfigT:
    """Validate plain data against a schema; the first problem becomes a ``ConfigError`` with the nearest match."""
    try:
        return schema.model_validate(raw)
    except ConfigError as error:  # a part's, which does not know where it was named
        raise ConfigError(f"{origin}: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_explain(error, schema)}") from error


def _explain(error: ValidationError, schema: type[BaseModel]) -> str:
    lines = []
    for problem in error.errors():
        location = [
            part for part in problem["loc"] if not (isinstance(part, str) and part.startswith("function-"))
        ]
        dotted = ".".join(str(part) for part in location)
        if problem["type"] == "extra_forbidden":
            fields = _fields_at(schema, [str(p) for p in location[:-1]])
            hint = did_you_mean(str(location[-1]), fields)
            known = f"known keys there: {', '.join(sorted(fields))}" if fields else ""
            lines.append(f"unknown key '{dotted}': {hint}{known}")
        elif problem["type"] == "missing":
            lines.append(f"key '{dotted}' is missing; set it in the file or as {dotted}=…")
        else:
            message = str(problem["msg"]).removeprefix("Value error, ")
            # Of a whole section the message says enough; its content would bury it.
            value = "" if isinstance(problem["input"], dict | BaseModel) else f" = {problem['input']!r}"
            lines.append(f"key '{dotted}'{value}: {message}" if dotted else message)
    return "; ".join(lines)


def _fields_at(schema: type[BaseModel], location: list[str]) -> list[str]:
    model: Any = schema
    for part in location:
        if part.isdigit():
            continue
        fields = getattr(model, "model_fields", None)
        if fields is None:
            return []
        if part in fields:
            model = _model_in(fields[part].annotation)
        # Otherwise the key of a dict of sections, e.g. a name in tune.space: the section is what the dict holds.
    return list(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def to_yaml(config: BaseModel) -> str:
    """The resolved config as YAML that validates to the same config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def differences(a: BaseModel, b: BaseModel) -> list[str]:
    """Dotted keys whose values differ, as ``key: old → new``."""
    # An empty section says no more than none.
    old, new = (
        {k: v for k, v in flatten(config.model_dump(mode="json")).items() if v != {}} for config in (a, b)
    )
    return [
        f"{k}: {old.get(k)!r} → {new.get(k)!r}"
        for k in sorted(old.keys() | new.keys())
        if old.get(k) != new.get(k)
    ]
