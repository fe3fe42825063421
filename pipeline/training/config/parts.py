"""Sections that choose a part and show all of its parameters, those that nobody set included."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import ConfigDict, model_validator

from pipeline.errors import ConfigError
from pipeline.registry import Part, check, defaults


class FilledPart(Part):
    """A part whose defaults are written out: the resolved config says what a run did, whatever a default becomes later."""

    model_config = ConfigDict(validate_default=True)
    kind: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        part = Part.model_validate({"name": cls.model_fields["name"].default} | raw)
        try:
            filled = check(cls.kind, part)
        except ConfigError as error:
            raise ValueError(str(error)) from error  # pydantic knows where in the config this is
        lacking = [name for name in cls.model_fields if name != "name" and name not in filled]
        if lacking:
            raise ValueError(
                f"{cls.kind} '{part.name}': its constructor takes no '{lacking[0]}', which the trainer sets"
            )
        return {"name": part.name, **filled}

    @classmethod
    def standard(cls) -> Self:
        """The default part.

        Fields take it as a factory: the part's module may import torch, which who only reads the schema does without.
        """
        return cls.model_validate({})

    def spelled_out(self) -> dict[str, Any]:
        """The parameters that differ from their defaults: what another part of the kind would have to answer for."""
        default = defaults(self.kind, self.name)
        return {k: v for k, v in self.parameters.items() if k not in default or default[k] != v}


class OptimizerConfig(FilledPart):
    """The optimizer of one network."""

    kind = "optimizer"
    name: str = "adam"
    lr: float
    """Rate of the whole run, which the schedule multiplies; every optimizer has it, with a default of its own."""


class ScheduleConfig(FilledPart):
    """Learning rate over the run; applies to generator and discriminator alike."""

    kind = "schedule"
    name: str = "constant"
