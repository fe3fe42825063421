"""Every kind of interchangeable part, found by name: a new loss, decoder, reader or optimizer is one new file.

A part named ``laplace_kl`` of kind ``loss`` is the object ``LOSS`` of the module ``pipeline.losses.laplace_kl``; nothing has to
be listed anywhere. A name with a dot is a module of the user's own (``my_team.losses.focal``). Parameters are checked against
the part's constructor: names, types and missing ones. A part that is built for a markup in another way than it is built from
plain values has a class method ``from_markup``, which is then its constructor here.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from pipeline.errors import ConfigError, LandmarkError, did_you_mean, nearest, told


@dataclass(frozen=True)
class Kind:
    """Where parts of a kind are found, and what their constructors get beside the parameters of a config.

    Attributes:
        package: Package of the project's own.
        attribute: What a module of the kind defines.
        given: Arguments that every constructor of the kind takes; they may not be configured.
        offered: Likewise, for those constructors that take them.
    """

    package: str
    attribute: str
    given: frozenset[str] = frozenset()
    offered: frozenset[str] = frozenset()


KINDS: dict[str, Kind] = {
    "model": Kind(
        "pipeline.models", "MODEL", frozenset({"num_landmarks"}), frozenset({"markup", "input_size"})
    ),
    "loss": Kind("pipeline.losses", "LOSS", offered=frozenset({"markup"})),
    "decoder": Kind("pipeline.heatmaps.decoders", "DECODER"),
    "method": Kind(
        "pipeline.methods", "METHOD", frozenset({"loss", "traits", "markup", "input_size", "decoder"})
    ),
    "augmentation": Kind("pipeline.augment", "AUGMENTATION", frozenset({"markup"})),
    "objective": Kind(
        "pipeline.methods.unlabelled",
        "OBJECTIVE",
        frozenset({"num_landmarks", "image_size"}),
        frozenset({"markup", "augmented"}),
    ),
    "discriminator": Kind("pipeline.models", "DISCRIMINATOR", frozenset({"in_channels"})),
    "optimizer": Kind("pipeline.training.optimizers", "OPTIMIZER", frozenset({"params"})),
    "schedule": Kind("pipeline.training.schedules", "SCHEDULE", frozenset({"steps"})),
    "reader": Kind("pipeline.datasets", "READER"),
}


class Part(BaseModel):
    """A part chosen by name, with the parameters of its constructor beside the name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but the name."""
        return {name: value for name, value in self if name != "name"}


def names(kind: str) -> list[str]:
    """The packaged parts of a kind, sorted."""
    package, attribute = KINDS[kind].package, KINDS[kind].attribute
    return sorted(
        module.name
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__)
        if not module.ispkg and hasattr(importlib.import_module(f"{package}.{module.name}"), attribute)
    )


def find(kind: str, name: str) -> Any:
    """The class behind a name.

    Raises:
        ConfigError: No such part, with the nearest match and all names; or its module cannot be imported, with the reason.
    """
    package, attribute = KINDS[kind].package, KINDS[kind].attribute
    module = _module(kind, name, name if "." in name else f"{package}.{name}")
    if module is not None and hasattr(module, attribute):
        return getattr(module, attribute)
    known = names(kind)
    hint = did_you_mean(name, known)
    if module is not None and "." in name:
        hint = f"{module.__file__} sets no {attribute}, with which the module of a {kind} ends; "
    raise ConfigError(f"no {kind} named '{name}': {hint}known ones are {', '.join(known)}")


def _module(kind: str, name: str, module_name: str) -> ModuleType | None:
    """The module of a name; None where there is none."""
    if not all(word.isidentifier() for word in module_name.split(".")):
        return None
    try:
        return importlib.import_module(module_name)
    except Exception as error:  # a user's file may raise anything
        absent = isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}.")
        if absent:
            return None
        raise ConfigError(
            f"{kind} '{name}' cannot be imported: {told(error)}; correct its module, or install what it needs"
        ) from error


def file_of(kind: str, name: str) -> str:
    """Path of the file that defines a part."""
    return str(inspect.getsourcefile(inspect.getmodule(find(kind, name)) or find(kind, name)))


def takes(kind: str, name: str, argument: str) -> bool:
    """Whether the constructor of a part takes an argument that its kind is offered."""
    return argument in _signature(kind, name).parameters


def _constructor(kind: str, name: str) -> Any:
    part = find(kind, name)
    return getattr(part, "from_markup", part)


def _signature(kind: str, name: str) -> inspect.Signature:
    # Losses name the markup's type for type checkers only, to be importable without its YAML reader; it is never configured.
    signature = inspect.signature(_constructor(kind, name), locals={"Markup": Any}, eval_str=True)
    lacking = sorted(KINDS[kind].given - signature.parameters.keys())
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
    if lacking and not open_ended:
        raise ConfigError(
            f"{kind} '{name}': its constructor takes no '{lacking[0]}', which every {kind} is given: add it in "
            f"{file_of(kind, name)}"
        )
    return signature


def check(kind: str, part: Part) -> dict[str, Any]:
    """Check a part's parameters against its constructor.

    Args:
        kind: Of the part.
        part: Name and parameters.

    Returns:
        The parameters, validated, defaults filled in: what the resolved config shows.

    Raises:
        ConfigError: Unknown, missing or ill-typed parameter.
    """
    return check_values(kind, part.name, part.parameters)


def configurable(kind: str, name: str) -> dict[str, inspect.Parameter]:
    """The parameters of a part that a config may set.

    Raises:
        ConfigError: No such part, or one that does not take what its kind is given.
    """
    supplied = KINDS[kind].given | KINDS[kind].offered
    # A part without a constructor of its own has torch's, which takes anything and needs nothing.
    anything = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = _signature(kind, name).parameters
    return {n: p for n, p in parameters.items() if n not in supplied and p.kind not in anything}


def check_values(kind: str, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """As :func:`check`, for parts that a config does not write as a :class:`Part`."""
    known = configurable(kind, name)
    for key in values:
        if key not in known:
            near = nearest(key, known)
            hint = f"; did you mean '{near}'?" if near else ""
            raise ConfigError(
                f"{kind} '{name}' has no parameter '{key}'{hint} (it has: {', '.join(known) or 'none'})"
            )
    checked: dict[str, Any] = {}
    for key, parameter in known.items():
        if key in values:
            checked[key] = _validated(kind, name, parameter, values[key])
        elif parameter.default is inspect.Parameter.empty:
            raise ConfigError(f"{kind} '{name}' needs parameter '{key}'")
        else:
            checked[key] = parameter.default
    return checked


def defaults(kind: str, name: str) -> dict[str, Any]:
    """The parameters of a part that need not be set, with what they are then."""
    empty = inspect.Parameter.empty
    return {n: p.default for n, p in configurable(kind, name).items() if p.default is not empty}


def _validated(kind: str, part: str, parameter: inspect.Parameter, value: Any) -> Any:
    annotation = Any if parameter.annotation is inspect.Parameter.empty else parameter.annotation
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except PydanticUserError:
        # A type that no config can hold: the constructor says what it thinks of the value.
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise ConfigError(
            f"{kind} '{part}', parameter '{parameter.name}': {value!r}: "
            + error.errors()[0]["msg"].removeprefix("Value error, ")
        ) from error


def build(kind: str, part: Part, **supplied: Any) -> Any:
    """Construct a part from its checked parameters and what the caller supplies.

    Args:
        kind: Of the part.
        part: Name and parameters.
        supplied: All that the kind is given, and whatever it is offered that there is.

    Raises:
        ConfigError: See ``check``; or the constructor refuses the values.
    """
    return build_from(kind, part.name, part.parameters, **supplied)


def build_from(kind: str, name: str, values: Mapping[str, Any], **supplied: Any) -> Any:
    """As :func:`build`, for parts that a config does not write as a :class:`Part`."""
    parameters = check_values(kind, name, values)
    taken = _signature(kind, name).parameters
    given = {n: value for n, value in supplied.items() if n in taken or n not in KINDS[kind].offered}
    try:
        return _constructor(kind, name)(**parameters, **given)
    except LandmarkError:
        raise
    except Exception as error:  # a user's constructor may raise anything
        reason = str(error) if isinstance(error, ValueError) else told(error)
        raise ConfigError(f"{kind} '{name}': {reason}") from error
