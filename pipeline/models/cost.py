"""The cost of a model: parameters, multiply-accumulates and activations of one image.

MACs are those of convolutions and matrix products, as the papers count them (their "FLOPs" are MACs);
normalisation, activations and interpolation are left out.

Both are counted on one forward pass, from which nothing is kept. It may be one on the meta device, which computes
nothing. Run :func:`pipeline.training.compiler.leave_compiler_out` first: both import torch's compiler otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode

from pipeline.models.output import as_output

_BATCH = 2  # batch norm refuses a single value per channel


@dataclass(frozen=True)
class Cost:
    """Cost of one image.

    Attributes:
        parameters: Trainable parameters.
        macs: Multiply-accumulates of a forward pass.
        activation_bytes: What autograd keeps of it for the backward pass, a softmax over the heatmaps included.
        size: (h, w) of the image, px.
    """

    parameters: int
    macs: int
    activation_bytes: int
    size: tuple[int, int]

    def __str__(self) -> str:
        """As a paper's table would put it."""
        height, width = self.size
        return f"{self.parameters / 1e6:,.2f} M parameters, {self.macs / 1e9:,.2f} GMACs at {height}×{width}"


class _Kept:
    """Bytes of every block of memory, beside the network itself, that autograd would hold on to; it holds on to none."""

    def __init__(self, module: nn.Module) -> None:
        self.bytes = 0
        # A weak reference keeps a block's address from being given to another one, not the block itself.
        self._seen = {
            StorageWeakRef(own.untyped_storage()) for own in (*module.parameters(), *module.buffers())
        }

    def pack(self, tensor: Tensor) -> None:
        block = StorageWeakRef(tensor.untyped_storage())
        if block not in self._seen:
            self._seen.add(block)
            self.bytes += tensor.untyped_storage().nbytes()


def _no_backward(_: Any) -> Tensor:
    raise RuntimeError("nothing was kept for a backward pass")


def cost(model: nn.Module, size: int | tuple[int, int]) -> Cost:
    """Count what a model takes, on two images of zeros.

    Args:
        model: see :mod:`pipeline.models.output`. Its mode, buffers and weights are the same afterwards.
        size: side, or (h, w), of the image.

    Returns:
        The cost.

    Example:
        >>> from pipeline.models.rcn import RCN
        >>> print(cost(RCN(68, 64), 80))
        1.87 M parameters, 3.70 GMACs at 80×80
    """
    height, width = (size, size) if isinstance(size, int) else size
    parameter = next(model.parameters())
    images = torch.zeros(_BATCH, 3, height, width, device=parameter.device, dtype=parameter.dtype)
    flops, kept = FlopCounterMode(display=False), _Kept(model)
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    training = model.training
    model.train()
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.autograd.graph.saved_tensors_hooks(kept.pack, _no_backward),
            flops,
        ):
            for stage in as_output(model(images)).stages:
                if stage.heatmaps is not None:
                    stage.heatmaps.flatten(2).softmax(-1)
    finally:
        model.train(training)
        for name, value in model.named_buffers():
            value.copy_(buffers[name])
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Cost(parameters, flops.get_total_flops() // (2 * _BATCH), kept.bytes // _BATCH, (height, width))
