"""Interchangeable parts, found by name: a new loss, model or unlabelled objective is one new file.

A part named ``laplace_kl`` of kind ``loss`` is the object ``LOSS`` of the module ``pipeline.losses.laplace_kl``; nothing has to
be listed anywhere. A name with a dot is a module of the user's own (``my_team.losses.focal``). Parameters are checked against
the part's constructor: names, types and missing ones. A part that is built for a markup in another way than it is built from
plain values has a class method ``from_markup``, which is then its constructor here.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pipeline.errors import ConfigError

# kind → (package, attribute that a module of the kind defines)
KINDS: dict[str, tuple[str, str]] = {
    "model": ("pipeline.models", "MODEL"),
    "loss": ("pipeline.losses", "LOSS"),
    "method": ("pipeline.methods", "METHOD"),
    "augmentation": ("pipeline.augment", "AUGMENTATION"),
    "objective": ("pipeline.methods.unlabelled", "OBJECTIVE"),
    "discriminator": ("pipeline.models", "DISCRIMINATOR"),
}


class Part(BaseModel):
    """A part chosen by name, with the parameters of its constructor beside the name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


def names(kind: str) -> list[str]:
    """The packaged parts of a kind, sorted."""
    package, attribute = KINDS[kind]
    return sorted(
        module.name
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__)
        if not module.ispkg and hasattr(importlib.import_module(f"{package}.{module.name}"), attribute)
    )


def find(kind: str, name: str) -> Any:
    """The class behind a name.

    Raises:
        ConfigError: No such part; the message gives the nearest match and all names.
    """
    package, attribute = KINDS[kind]
    module_name = name if "." in name else f"{package}.{name}"
    if all(word.isidentifier() for word in module_name.split(".")):
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if not f"{module_name}.".startswith(f"{error.name}."):
                raise  # the part exists; something it needs is not installed
        else:
            if hasattr(module, attribute):
                return getattr(module, attribute)
    known = names(kind)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise ConfigError(f"no {kind} named '{name}': {hint}known ones are {', '.join(known)}")


def _constructor(kind: str, name: str) -> Any:
    part = find(kind, name)
    return getattr(part, "from_markup", part)


def _signature(kind: str, name: str) -> inspect.Signature:
    # Losses name the markup's type for type checkers only, to be importable without its YAML reader; it is never configured.
    return inspect.signature(_constructor(kind, name), locals={"Markup": Any}, eval_str=True)


def check(kind: str, part: Part, given: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Check a part's parameters against its constructor.

    Args:
        kind: Of the part.
        part: Name and parameters.
        given: Constructor arguments that the caller supplies itself; they may not be configured.

    Returns:
        The parameters, validated, defaults filled in: what the resolved config shows.

    Raises:
        ConfigError: Unknown, missing or ill-typed parameter.
    """
    signature = _signature(kind, part.name)
    # A part without a constructor of its own has torch's, which takes anything and needs nothing.
    anything = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    known = {n: p for n, p in signature.parameters.items() if n not in given and p.kind not in anything}
    for name in part.parameters:
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ConfigError(
                f"{kind} '{part.name}' has no parameter '{name}'{hint} (it has: {', '.join(known) or 'none'})"
            )
    checked: dict[str, Any] = {}
    for name, parameter in known.items():
        if name not in part.parameters:
            if parameter.default is inspect.Parameter.empty:
                raise ConfigError(f"{kind} '{part.name}' needs parameter '{name}'")
            checked[name] = parameter.default
            continue
        annotation = Any if parameter.annotation is inspect.Parameter.empty else parameter.annotation
        try:
            checked[name] = TypeAdapter(annotation).validate_python(part.parameters[name])
        except ValidationError as error:
            value = part.parameters[name]
            raise ConfigError(
                f"{kind} '{part.name}', parameter '{name}': {value!r}: {error.errors()[0]['msg']}"
            ) from error
    return checked


def build(kind: str, part: Part, offered: dict[str, Any] | None = None, **given: Any) -> Any:
    """Construct a part from its checked parameters and what the caller supplies.

    Args:
        kind: Of the part.
        part: Name and parameters.
        offered: Arguments for constructors that take them, e.g. the markup; others do without.
        given: Arguments that every constructor of the kind takes.

    Raises:
        ConfigError: See ``check``; or the constructor refuses the values.
    """
    offered = offered or {}
    parameters = check(kind, part, frozenset(given) | frozenset(offered))
    taken = _signature(kind, part.name).parameters
    supplied = {name: value for name, value in offered.items() if name in taken}
    try:
        return _constructor(kind, part.name)(**parameters, **supplied, **given)
    except ValueError as error:
        raise ConfigError(f"{kind} '{part.name}': {error}") from error
