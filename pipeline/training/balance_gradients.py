"""Gradients of several losses at a network's output, weighed against the supervised one and added up for one backward pass.

The losses are computed on *leaves*, copies of the output's tensors cut from the network, so that each loss's gradient there can
be looked at and scaled before anything goes back through the network:

    g = ∂L_sup/∂y + Σ k_i ∂L_i/∂y,    k_i = ramp_i · s_i · ‖∂L_sup/∂y‖ / ‖∂L_i/∂y‖  (a share s_i),  or  ramp_i · λ_i  (fixed)

with y all differentiable tensors of all stages together. Every loss goes backward once, to y, as it would without balancing; what
is added is a norm of each. Norms are of the whole global batch: squares are summed over the ranks, so that every rank has the
same k, and as many faces give the same k on any number of ranks. (A rank's loss is a mean over its faces; the factor 1/W of the
ranks' mean is in both norms.)

An engine's backward takes a scalar: Σ y·g with g held constant has the gradient g, at every ZeRO stage and precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.methods.unlabelled.weights import Weight
from pipeline.models.output import Output

Gradients = list[Tensor | None]


@dataclass(frozen=True)
class Balanced:
    """What :func:`balance` found.

    Attributes:
        gradients: Of the weighted sum, one for each leaf; None where no loss reaches it.
        factors: k of each objective; scalars.
        shares: ‖k ∂L/∂y‖ / ‖∂L_sup/∂y‖ of each objective, what it really has in this step; scalars.
    """

    gradients: Gradients
    factors: dict[str, Tensor]
    shares: dict[str, Tensor]

    def surrogate(self, outputs: Sequence[Tensor]) -> Tensor:
        """A scalar whose gradient at ``outputs``, the tensors that the leaves were cut from, is ``gradients``."""
        # One pass over each, without a product as large as the output.
        products = [
            torch.dot(output.flatten(), gradient.flatten()).float()
            for output, gradient in zip(outputs, self.gradients, strict=True)
            if gradient is not None
        ]
        return torch.stack(products).sum()


def tensors(outputs: Iterable[Output]) -> list[Tensor]:
    """All parts of all stages of all outputs, in a fixed order."""
    return [
        getattr(stage, name) for output in outputs for stage in output.stages for name in sorted(stage.gives)
    ]


def cut(output: Output) -> Output:
    """The output's values, cut from the network, as leaves that take gradients."""
    return output.map(lambda tensor: tensor.detach().requires_grad_())


def balance(
    supervised: Tensor,
    terms: Mapping[str, tuple[Tensor, Weight]],
    leaves: Sequence[Tensor],
    step: int,
    world_size: int = 1,
) -> Balanced:
    """Weigh the objectives' gradients and add them to the supervised one.

    Args:
        supervised: This rank's supervised loss.
        terms: Name → this rank's loss of an objective, unweighted, and its weight.
        leaves: What all losses were computed on.
        step: Optimizer step, for the ramps.
        world_size: Ranks; every one of them calls with the same names.
    """
    gradients = {"": _gradients(supervised, leaves)}
    for name, (term, weight) in terms.items():
        # A fixed λ scales the loss, as it is written, rather than its gradient: the same numbers to the last bit.
        scaled = term if weight.fixed is None else weight.fixed * weight.ramp(step) * term
        gradients[name] = _gradients(scaled, leaves)
    squares = torch.stack([_square(part, supervised) for part in gradients.values()])
    if world_size > 1:
        torch.distributed.all_reduce(squares)
    first, *others = squares.sqrt().unbind()
    total, factors, shares = gradients[""], {}, {}
    for (name, (_, weight)), norm in zip(terms.items(), others, strict=True):
        # No gradient, no weight: where no face of the step could be used, or the supervised loss is silent, nothing explodes.
        relative = torch.where(first > 0, norm / first.clamp(min=torch.finfo(first.dtype).tiny), 0.0)
        if weight.share is None:
            factor, scale = torch.full_like(norm, (weight.fixed or 0.0) * weight.ramp(step)), None
        else:
            wanted = weight.share * weight.ramp(step)
            scale = factor = torch.where(relative > 0, wanted / relative, 0.0)
            relative = relative * factor
        factors[name], shares[name] = factor, relative
        total = [_add(one, other, scale) for one, other in zip(total, gradients[name], strict=True)]
    return Balanced(total, factors, shares)


def _gradients(loss: Tensor, leaves: Sequence[Tensor]) -> Gradients:
    if not loss.requires_grad:
        return [None] * len(leaves)
    # Losses share parts of their graphs (a softmax): nothing is freed before the step ends.
    return list(torch.autograd.grad(loss, list(leaves), retain_graph=True, allow_unused=True))


def _square(gradients: Gradients, like: Tensor) -> Tensor:
    norms = [
        torch.linalg.vector_norm(gradient, dtype=torch.promote_types(gradient.dtype, torch.float32))
        for gradient in gradients
        if gradient is not None
    ]
    return torch.stack(norms).square().sum() if norms else torch.zeros_like(like)


def _add(one: Tensor | None, other: Tensor | None, factor: Tensor | None) -> Tensor | None:
    if other is None:
        return one
    if factor is None:
        return other if one is None else one + other
    factor = factor.to(other.dtype)
    return other * factor if one is None else torch.addcmul(one, other, factor)
