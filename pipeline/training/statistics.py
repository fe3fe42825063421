"""Batch normalisation's running statistics, of which every rank has its own: one for all before they are used or kept.

In training each rank normalises by the moments of its own share of the batch, and its running mean μ and variance σ² follow them:
μ ← (1 − m)·μ + m·mean. What is validated, drawn, exported and saved is their mean over ranks. That is linear, so the mean of such
averages is the average of the means: how often it is taken, or whether the run was resumed in between, changes nothing.

A teacher (:mod:`pipeline.methods.unlabelled.teacher`) is asked in evaluation mode, and takes the mean at the start of every step
that asks it: what it says of a face does not depend on the rank that has the face, and it is the network that would be exported
at that moment.

``SyncBatchNorm``, which normalises by the moments of the global batch, is not used: it exists on GPUs alone, and each layer is a
barrier. So a network with batch normalisation trains by each rank's share, and its losses depend on the number of workers,
though the images of a step do not.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase


def _statistics(modules: Iterable[nn.Module]) -> list[torch.Tensor]:
    """Running means and variances, in the order of the modules; instance normalisation may keep them, too."""
    layers = [layer for module in modules for layer in module.modules() if isinstance(layer, _NormBase)]
    return [s for layer in layers for s in (layer.running_mean, layer.running_var) if s is not None]


@torch.no_grad()
def average_statistics(modules: Iterable[nn.Module], world_size: int) -> None:
    """Replace running means and variances by their mean over ranks, in place; every rank calls it, with the same modules.

    Args:
        modules: Networks in training, all on one device.
        world_size: W; 1 leaves everything as it is.
    """
    statistics = _statistics(modules)
    if world_size == 1 or not statistics:
        return
    # In one collective, and in float64: every rank gets the same bits, and equal statistics stay what they are.
    flat = torch.cat([s.double().flatten() for s in statistics])
    torch.distributed.all_reduce(flat)
    for own, mean in zip(statistics, (flat / world_size).split([s.numel() for s in statistics]), strict=True):
        own.copy_(mean.view_as(own))
