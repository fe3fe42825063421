"""How strongly an unlabelled objective acts: a share of the supervised gradient, or a fixed λ; and how it rises to that.

A fixed λ says nothing of what an objective does: at λ = 0.001 the gradients of this project's objectives were 10⁻⁴ to 10⁻⁶ of the
supervised one, and their runs were supervised trainings at a higher price. A share says it. The factor is that of Esser et al.,
"Taming Transformers for High-Resolution Image Synthesis" (VQGAN), CVPR 2021, eq. 7, but its norms are taken at the generator's
output instead of its last layer: there they are exact for all weights before it, and cost no pass through the network
(:mod:`pipeline.training.balance_gradients`).
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from pipeline.strict import Strict


class Weight(Strict):
    """``{share: 0.1, ramp_steps: 400}``, or a number: a fixed λ."""

    share: float | None = Field(
        None,
        gt=0,
        description="norm of the objective's gradient at the generator's output, as a share of the supervised loss's",
    )
    fixed: float | None = Field(None, ge=0, description="λ, whatever it comes to")
    ramp_steps: int = Field(0, ge=0, description="linear from 0 over so many steps")
    start_step: int = Field(0, ge=0, description="optimizer step at which the ramp begins; 0 before it")

    @model_validator(mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return {"fixed": value} if number else value

    @model_validator(mode="after")
    def _one(self) -> Weight:
        if (self.share is None) == (self.fixed is None):
            raise ValueError("a weight is a number (λ), or has exactly one of 'share' and 'fixed'")
        return self

    @model_serializer(mode="wrap")
    def _plain(self, fields: SerializerFunctionWrapHandler) -> Any:
        """As short as it was written: a search over ``….weight`` or ``….weight.share`` finds a number there."""
        if self.fixed is not None and not self.ramp_steps and not self.start_step:
            return self.fixed
        return {name: value for name, value in fields(self).items() if value is not None}

    def ramp(self, step: int) -> float:
        """The ramp's height in [0, 1] at an optimizer step."""
        if step < self.start_step:
            return 0.0
        return min((step - self.start_step) / self.ramp_steps, 1.0) if self.ramp_steps else 1.0
