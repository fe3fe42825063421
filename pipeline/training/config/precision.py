"""The numbers that networks compute in: float32, or bfloat16 by autocast over float32 weights. float16 is refused.

bfloat16 has float32's range. float16 ends at 6·10⁻⁸, and so needs the loss multiplied by a scale that is lowered whenever a
gradient overflows. With DeepSpeed 0.19 and this trainer that goes wrong in three ways; a test of each of the first two would
notice that it is gone:

- The scale is left out of DeepSpeed's checkpoints under autocast: a resumed run would not be the run that was interrupted.
- Objectives are balanced by their gradients at the generator's output (:mod:`pipeline.training.balance_gradients`), before there
  is anything to scale: those of a weight of 10⁻⁴ vanish there.
- Under ZeRO 1 and 2 (by reading) each rank looks for overflow in its own part of the gradients alone: one may skip a step that
  the others take, after which the ranks' weights are not one network's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator


def _refuse_half(value: Any) -> Any:
    if value in ("fp16", "float16", "half"):
        raise ValueError(
            f"'{value}' needs its loss scaled, by a scale that DeepSpeed leaves out of checkpoints, and gradients of objectives "
            "vanish in it; set bf16, which has fp32's range, or fp32 where a GPU has no bf16"
        )
    return value


Precision = Annotated[Literal["fp32", "bf16"], BeforeValidator(_refuse_half)]
