"""Exponential moving average of the generator's weights."""

from __future__ import annotations

import torch
from torch import nn


class WeightAverage:
    """θ̄ ← d·θ̄ + (1 − d)·θ after every step, with d = min(decay, (1 + n) / (10 + n)) so that early steps do not linger.

    Parameters are averaged in fp32; buffers (running statistics) are copied.

    Args:
        module: The network to follow; its present weights are the start.
        decay: In [0, 1).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self._names = [name for name, _ in module.named_parameters()]
        self._averages = [p.detach().float().clone() for p in module.parameters()]

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Follow one step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._averages, [p.detach().float() for p in module.parameters()], 1 - decay)

    def state(self, module: nn.Module) -> dict[str, torch.Tensor]:
        """A state dict of the averaged network: averaged parameters, the module's own buffers; a copy on the CPU."""
        averaged = dict(zip(self._names, self._averages, strict=True))
        return {
            name: averaged.get(name, value).detach().to("cpu", copy=True).contiguous()
            for name, value in module.state_dict().items()
        }

    @torch.no_grad()
    def copy_to(self, target: nn.Module, module: nn.Module) -> None:
        """Put the averaged parameters and the module's own buffers into another network of the same kind, in place."""
        torch._foreach_copy_([p for _, p in target.named_parameters()], self._averages)
        for own, buffer in zip(target.buffers(), module.buffers(), strict=True):
            own.copy_(buffer)

    def load(self, state: dict[str, torch.Tensor], updates: int) -> None:
        """Go on from a saved average."""
        self.updates = updates
        for name, average in zip(self._names, self._averages, strict=True):
            average.copy_(state[name])
