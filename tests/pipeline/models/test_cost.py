"""Parameters, multiply-accumulates and kept activations: counted by hand, and against tensors that autograd really keeps."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.models.cost import Cost, cost
from pipeline.models.rcn import RCN


def test_counted_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 10, 1)
    )
    expected = 4 * 6 * 8 * 3 * 9 + 4 * 6 * 8 * 10
    # Kept of an image: itself, what the norm sees, what the ReLU gives, the softmax; of two, the norm's two moments.
    kept = 4 * (3 * 8 * 12 + 8 * 24 + 8 * 24 + 10 * 24 + 2 * 8 // 2)
    assert cost(model, (8, 12)) == Cost(3 * 8 * 9 + 8 + 16 + 8 * 10 + 10, expected, kept, (8, 12))


def test_grouped_and_transposed_convolutions():
    assert cost(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, groups=3)), 4).macs == 16 * 6 * 9
    # Each of 16 inputs reaches 2 × 2 × 5 outputs.
    assert cost(nn.Sequential(nn.ConvTranspose2d(3, 5, 2, stride=2)), 4).macs == 16 * 3 * 4 * 5


def test_a_model_on_the_meta_device_costs_the_same_and_keeps_its_mode():
    with torch.device("meta"):
        model = RCN(68, 64)
    figures = cost(model, 80)
    assert model.training
    assert figures.parameters == 1_872_428
    c, k, n = 64, 68, 80 * 80
    encoder = (
        sum((27 if level == 0 else 9 * c) * c * n // 4**level for level in range(4)) + 18 * c * c * n // 256
    )
    laterals = c * c * n // 256 + sum(2 * c * c * n // 4**level for level in (3, 2, 1))
    fusions = sum(100 * c * c * n // 4**level for level in range(4))
    assert figures.macs == encoder + laterals + fusions + (2 * c * k + 2 * k * k) * n
    assert str(figures).endswith("GMACs at 80×80")


def test_frozen_parameters_are_not_counted():
    model = nn.Sequential(nn.Conv2d(3, 2, 1)).eval()
    model[0].weight.requires_grad_(False)
    assert cost(model, 4).parameters == 2
    assert not model.training


def test_counting_changes_nothing():
    model = RCN(5, 4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    cost(model, 32)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.head = nn.Conv2d(5, 5, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(images).tanh())


def test_activations_of_a_network_worked_out_by_hand():
    # Kept: the image (for conv's weights), tanh's output (for itself and for the head's weights), the softmax's output.
    assert cost(Tiny(), 32).activation_bytes == 4 * 32 * 32 * (3 + 5 + 5)


def kept_by_autograd(module: nn.Module, size: int) -> int:
    """Bytes of every distinct memory block that autograd holds on to, of one image."""
    blocks: dict[int, int] = {}
    held: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor)
        blocks[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = module(torch.rand(1, 3, size, size)).flatten(2).softmax(-1)
    assert out.requires_grad
    weights = {p.data_ptr() for p in module.parameters()}
    return sum(size for pointer, size in blocks.items() if pointer not in weights)


@pytest.mark.parametrize(("width", "dropout"), [(4, 0.0), (8, 0.2)])
def test_activations_are_what_autograd_keeps(width, dropout):
    model = RCN(68, width, dropout)
    np.testing.assert_allclose(cost(model, 80).activation_bytes, kept_by_autograd(model, 80), rtol=0.02)


def test_activations_grow_with_pixels_and_width():
    def estimate(width: int, size: int) -> int:
        return cost(RCN(68, width), size).activation_bytes

    assert 3.9 < estimate(8, 160) / estimate(8, 80) < 4.1
    assert 1.0 < estimate(16, 80) / estimate(8, 80) < 2.0  # the head's 68 channels do not grow
    assert estimate(8, 80) > 4 * 80 * 80 * 68 * 3  # the head's three outputs at least
