"""Channels innermost: nothing but memory changes."""

from __future__ import annotations

import copy

import pytest
import torch

from pipeline.models.hourglass import StackedHourglass
from pipeline.models.output import as_output
from pipeline.models.patchgan import PatchGAN
from pipeline.training.layout import lay_channels_last


@pytest.mark.parametrize("kind", ["hourglass", "patchgan"])
def test_a_step_has_the_values_shapes_and_names_it_has_without(kind):
    network = (
        StackedHourglass(5, stacks=2, width=8, levels=2)
        if kind == "hourglass"
        else PatchGAN(3, width=4, noise=0.0)
    )
    laid = copy.deepcopy(network)
    lay_channels_last(laid)
    images_B3HW = torch.rand(2, 3, 32, 32)
    inside = []
    convolution = next(m for m in laid.modules() if isinstance(m, torch.nn.Conv2d))
    convolution.register_forward_hook(lambda _, given, made: inside.extend([given[0], made]))
    for model in (network, laid):
        as_output(model(images_B3HW)).last.heatmaps.square().mean().backward()
    assert all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in inside)
    assert not any(tensor.is_contiguous() for tensor in inside)
    ours, theirs = laid.state_dict(), network.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], value) for name, value in theirs.items() if "running" not in name)
    # Batch norm makes much of rounding in single weights: over all of them it is small.
    mine, expected = (
        torch.cat([parameter.grad.flatten() for parameter in model.parameters()]) for model in (laid, network)
    )
    assert (mine - expected).norm() < 1e-3 * expected.norm()
    # A copy lays its images out, too.
    assert copy.deepcopy(laid)._forward_pre_hooks
