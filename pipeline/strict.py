"""The base of every section of a config: unknown keys fail, values never change, defaults are checked like anything else."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A section."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
