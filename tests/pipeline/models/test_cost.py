import torch
from torch import nn

from pipeline.models.cost import Cost, cost
from pipeline.models.rcn import RCN


def test_counted_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 4 * 6, 10)
    )
    expected = 4 * 6 * 8 * 3 * 9 + 8 * 4 * 6 * 10
    assert cost(model, (8, 12)) == Cost(3 * 8 * 9 + 8 + 16 + 192 * 10 + 10, expected, (8, 12))


def test_grouped_and_transposed_convolutions():
    assert cost(nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, groups=3)), 4).macs == 16 * 6 * 9
    # Each of 16 inputs reaches 2 × 2 × 5 outputs.
    assert cost(nn.Sequential(nn.ConvTranspose2d(3, 5, 2, stride=2)), 4).macs == 16 * 3 * 4 * 5


def test_nothing_is_computed_on_the_meta_device_and_the_mode_is_kept():
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
