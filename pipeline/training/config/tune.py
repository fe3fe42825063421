"""The schema of ``landmarks tune``: a space over any dotted keys of the config, and how long to search it."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field, model_validator

from pipeline.strict import Finite, Strict

Value = bool | int | float | str | None


class ParameterConfig(Finite):
    """The values one key may take."""

    type: Literal["float", "int", "choice"]
    low: float | None = Field(None, description="smallest value, for float and int")
    high: float | None = Field(None, description="largest value, included")
    log: bool = Field(False, description="spread evenly over orders of magnitude")
    step: float | None = Field(
        None, gt=0, description="distance between values; default: any float, every int"
    )
    values: tuple[Value, ...] = Field((), description="for choice")

    @model_validator(mode="after")
    def _whole(self) -> ParameterConfig:
        if self.type == "choice":
            if not self.values or self.low is not None or self.high is not None:
                raise ValueError("a choice has 'values', and neither low nor high")
            if self.log or self.step is not None:
                raise ValueError("a choice has neither log nor step; for numbers use type float or int")
            for index, value in enumerate(self.values):
                # Optuna, too, finds a choice by ==, by which true is 1: one of the two would never be tried as itself.
                if value in self.values[:index]:
                    raise ValueError(f"values name {value!r} twice (true counts as 1, false as 0)")
            return self
        if self.values or self.low is None or self.high is None or self.low > self.high:
            raise ValueError(f"a {self.type} has low ≤ high, and no values")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low > 0 and no step")
        if self.type == "int" and any(
            v is not None and v != int(v) for v in (self.low, self.high, self.step)
        ):
            raise ValueError("an int has whole low, high and step")
        if self.step is not None:
            low, high, step = (Decimal(str(v)) for v in (self.low, self.high, self.step))
            if (high - low) % step:
                # Optuna would lower high, but high is promised to be included.
                last = float(low + (high - low) // step * step)
                raise ValueError(
                    f"high = {self.high:g} is not low plus whole steps; the last one is {last:g}"
                )
        return self

    def holds(self, value: object) -> bool:
        """Whether a value lies in the range, so that the search may begin with it."""
        if self.type == "choice":
            # 200 is 200.0, which a config may make of it; true is not 1.
            return any(isinstance(v, bool) == isinstance(value, bool) and v == value for v in self.values)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        assert self.low is not None  # checked above
        assert self.high is not None
        inside = self.low <= value <= self.high and (self.type == "float" or value == int(value))
        steps = (value - self.low) / self.step if self.step else 0.0
        return inside and abs(steps - round(steps)) < 1e-9


class TuneConfig(Strict):
    """Optuna proposes, ASHA stops what falls behind; the objective is the NME on the held-out split."""

    space: dict[str, ParameterConfig] = Field(description="dotted key of the config → its values")
    trials: int = Field(20, ge=1, description="configurations tried")
    seeds: int = Field(
        1, ge=1, description="trainings per trial, with seeds seed, seed + 1, …; the objective is their mean"
    )
    sampler_seed: int = Field(0, ge=0, description="of the proposals")
    startup_trials: int = Field(8, ge=1, description="random ones before the sampler learns from results")
    default_first: bool = Field(
        True, description="the config's own values are trial 0, where the space holds them"
    )
    prune: bool = Field(True, description="ASHA; false trains every trial to its end")
    grace: float = Field(0.2, gt=0, le=1, description="share of a run before which no trial is stopped")
    reduction: int = Field(3, ge=2, description="one in this many goes on at each rung")
    concurrent: int | None = Field(
        None, ge=1, description="trials at once; default: as many as the cluster holds"
    )
    storage: str = Field("outputs/tune", description="a search lives in storage/name")

    @model_validator(mode="after")
    def _something(self) -> TuneConfig:
        if not self.space:
            raise ValueError("tune.space is empty: name at least one key and its values")
        return self
