"""The optimizer of one network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.strict import Strict

_Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimizerConfig(Strict):
    """Adam, as in all five papers but UGLLI, which has RMSprop."""

    name: Literal["adam", "rmsprop"] = Field("adam", description="adam, or adamw by 'decoupled'; or rmsprop")
    lr: float = Field(1e-3, gt=0, description="Robinson et al., section 3.4")
    weight_decay: float = Field(
        1e-5, ge=0, description="L2 on the gradient (Adam), decoupled (AdamW); section 3.4"
    )
    betas: tuple[_Beta, _Beta] = Field((0.9, 0.999), description="torch's defaults; the paper names none")
    decoupled: bool = Field(False, description="AdamW instead of Adam")
    smoothing: float = Field(0.99, gt=0, lt=1, description="of rmsprop: decay of the squared gradient's mean")

    @model_validator(mode="after")
    def _kind(self) -> OptimizerConfig:
        if self.decoupled and self.name != "adam":
            raise ValueError(
                "optimizer.decoupled makes AdamW of Adam; optimizer.name = 'rmsprop' has no such form"
            )
        return self
