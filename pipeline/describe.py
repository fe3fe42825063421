"""What a part is and takes, read off its constructor and its docstring: the reference that ``landmarks help`` prints."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

from pipeline.registry import KINDS, configurable, find, names

_SECTION = re.compile(r"^(?:Args|Attributes):$", re.MULTILINE)
_NEXT_SECTION = re.compile(r"^\S", re.MULTILINE)
_ENTRY = re.compile(r"^ {4}(\w+)(?: \([^)]*\))?: (.*)$")


@dataclass(frozen=True)
class ParameterHelp:
    """One key of a part.

    Attributes:
        name: As a config has it.
        type: As its constructor declares it.
        default: What it is where it is not given; None of one that must be given.
        text: What the part's docstring says of it; empty where it says nothing.
    """

    name: str
    type: str
    default: str | None
    text: str


@dataclass(frozen=True)
class PartHelp:
    """One part.

    Attributes:
        kind: See ``pipeline.registry.KINDS``.
        name: As a config has it.
        summary: First sentence of its file.
        parameters: In the order of its constructor.
    """

    kind: str
    name: str
    summary: str
    parameters: tuple[ParameterHelp, ...]


def describe(kind: str, name: str) -> PartHelp:
    """A part, packaged or a user's own.

    Raises:
        ConfigError: No such part.
    """
    part = find(kind, name)
    texts = _texts(part)
    return PartHelp(
        kind,
        name,
        _summary(part),
        tuple(
            ParameterHelp(key, _type(p), _default(p), texts.get(key, ""))
            for key, p in configurable(kind, name).items()
        ),
    )


def summaries(kind: str) -> dict[str, str]:
    """Name → first sentence of every packaged part of a kind."""
    return {name: _summary(find(kind, name)) for name in names(kind)}


def kinds() -> tuple[str, ...]:
    """Of parts, in alphabetical order."""
    return tuple(sorted(KINDS))


def _summary(part: Any) -> str:
    """The first sentence of its file, which says what the part is."""
    text = inspect.cleandoc((inspect.getmodule(part) or part).__doc__ or "")
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.:;]) (?=[A-Z`])", paragraph)[0].rstrip(":;.")


def _texts(part: Any) -> dict[str, str]:
    """What docstrings say of parameters: the part's own, its constructor's, and those of the classes it comes from."""
    found: dict[str, str] = {}
    for owner in inspect.getmro(part) if inspect.isclass(part) else (part,):
        if owner is object:
            continue
        for documented in (owner, owner.__dict__.get("from_markup"), owner.__dict__.get("__init__")):
            document = inspect.getdoc(getattr(documented, "__func__", documented)) if documented else None
            found = _entries(document or "") | found
    return found


def _entries(document: str) -> dict[str, str]:
    """Name → text of the docstring's section ``Args`` (of a dataclass, ``Attributes``)."""
    begin = _SECTION.search(document)
    if begin is None:
        return {}
    rest = document[begin.end() :]
    end = _NEXT_SECTION.search(rest)
    entries: dict[str, str] = {}
    name = ""
    for line in rest[: end.start() if end else None].splitlines():
        if entry := _ENTRY.match(line):
            name = entry[1]
            entries[name] = entry[2]
        elif name and line.strip():
            entries[name] += f" {line.strip()}"
    return entries


def _type(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return "any"
    return inspect.formatannotation(annotation).replace("typing.", "").replace("NoneType", "None")


def _default(parameter: inspect.Parameter) -> str | None:
    return None if parameter.default is inspect.Parameter.empty else repr(parameter.default)
