"""The grid of ``landmarks scale``: what do N more unlabelled faces buy, at each label budget, for each method and width."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from pipeline.strict import Strict

Count = Annotated[int, Field(ge=0)]
_MethodName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,15}$")]  # part of its runs' names


class MethodConfig(Strict):
    """One method of the grid: dotted keys and their values, on top of the config.

    Each column is compared at its own best setting: what helps the supervised runs alone (dropout, say) goes into
    ``supervised``, what helps the others into ``semi_supervised``.
    """

    set: dict[str, Any] = Field({}, description="for all runs of the method, e.g. {loss.name: laplace_kl}")
    supervised: dict[str, Any] = Field({}, description="besides, without unlabelled faces")
    semi_supervised: dict[str, Any] = Field({}, description="besides, with them")


class ScaleConfig(Strict):
    """A grid of runs; a later command with more values computes only what is new."""

    unlabelled: tuple[Count, ...] = Field(
        description="numbers of unlabelled faces; 0, the supervised column, is always among them"
    )
    labelled: tuple[int, ...] = Field(description="numbers of labelled faces")
    supervised_labelled: tuple[int, ...] = Field(
        (),
        description="more numbers of labelled faces, trained without unlabelled ones only: the room that there is, and what "
        "gains are worth in labels",
    )
    methods: dict[_MethodName, MethodConfig] = Field(
        {"configured": MethodConfig()}, min_length=1, description="name → changes to the config"
    )
    widths: tuple[int, ...] | None = Field(
        None, description="values of model.width; default: the config's own"
    )
    seeds: tuple[Count, ...] = Field(
        (0,),
        min_length=1,
        description="of initialisation, order and subsets: the runs of one seed draw nested subsets",
    )
    concurrent: int | None = Field(
        None, ge=1, description="runs at once; default: as many as the cluster holds"
    )
    storage: str = Field("outputs/scale", description="a study lives in storage/name")

    @field_validator("unlabelled")
    @classmethod
    def _with_zero(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted({0, *value}))

    @field_validator("labelled", "widths", "seeds")
    @classmethod
    def _some(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and not value:
            raise ValueError("name at least one value, each once")
        return value

    @field_validator("labelled", "supervised_labelled", "widths", "seeds")
    @classmethod
    def _distinct(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and len(set(value)) != len(value):
            raise ValueError("name at least one value, each once")
        return value

    @model_validator(mode="after")
    def _positive(self) -> ScaleConfig:
        if len(self.unlabelled) < 2:
            raise ValueError("scale.unlabelled names no number above 0: there is nothing to compare with")
        if repeated := set(self.labelled) & set(self.supervised_labelled):
            raise ValueError(
                f"scale.supervised_labelled = {sorted(repeated)[0]} is in scale.labelled, which has it already"
            )
        if min((*self.labelled, *self.supervised_labelled)) < 1 or (
            self.widths is not None and min(self.widths) < 1
        ):
            raise ValueError("scale.labelled, scale.supervised_labelled and scale.widths are at least 1")
        return self
