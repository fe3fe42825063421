"""How unlabelled faces teach: the objectives of a run, each with the weight that is its own."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from pipeline.methods.unlabelled.weights import Weight
from pipeline.registry import Part, check, find
from pipeline.strict import Strict
from pipeline.training.config.parts import OptimizerConfig


class ObjectiveConfig(Part):
    """An objective: name, weight, and the parameters of its constructor beside them."""

    # The parent allows what it does not know: the parameters.
    weight: Weight = Field(
        Weight(share=0.1),
        description="{share: …, ramp_steps: …}, or a number, λ; default: the objective's own",
    )

    @model_validator(mode="before")
    @classmethod
    def _own_weight(cls, value: Any) -> Any:
        if isinstance(value, dict) and "name" in value and value.get("weight") is None:
            return value | {"weight": find("objective", value["name"]).weight}
        return value

    @model_validator(mode="after")
    def _known(self) -> ObjectiveConfig:
        check("objective", self)
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of the constructor."""
        return {name: value for name, value in super().parameters.items() if name != "weight"}


class UnlabelledConfig(Strict):
    """The objectives through which unlabelled faces teach: one as ``objective``, or several as ``objectives``."""

    objective: ObjectiveConfig | None = Field(None, description="null: none, or those of 'objectives'")
    objectives: tuple[ObjectiveConfig, ...] = Field((), description="several at once, instead of 'objective'")
    ratio: float = Field(1.0, gt=0, description="unlabelled : labelled faces in each step")
    start_step: int = Field(0, ge=0, description="labelled faces alone before this step")
    optimizer: OptimizerConfig = Field(
        default_factory=OptimizerConfig.standard,
        description="of an objective's own network, e.g. the discriminator",
    )

    @model_validator(mode="before")
    @classmethod
    def _moved(cls, value: Any) -> Any:
        if isinstance(value, dict) and "weight" in value:
            raise ValueError(
                "a weight is its objective's: write unlabelled.objective.weight, or a weight in each of unlabelled.objectives"
            )
        return value

    @model_validator(mode="after")
    def _one_way(self) -> UnlabelledConfig:
        if self.objective is not None and self.objectives:
            raise ValueError("set one of unlabelled.objective and unlabelled.objectives (the other null, [])")
        names = [objective.name for objective in self.objectives]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"unlabelled.objectives names '{name}' twice")
        return self

    @property
    def active(self) -> tuple[ObjectiveConfig, ...]:
        """The run's objectives, however they are written; none trains on labelled faces alone."""
        return self.objectives if self.objective is None else (self.objective,)
