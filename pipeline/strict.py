"""The bases of typed records, config and stored file alike: unknown keys fail, values never change, defaults are checked too."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A record, or a section of one."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Finite(Strict):
    """A record of finite numbers: JSON has no NaN and says null where a number is undefined; an infinite bound bounds nothing."""

    model_config = ConfigDict(allow_inf_nan=False)
