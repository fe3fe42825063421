import pytest
import torch
from torch.nn import functional as F

from pipeline.heatmaps.stride import to_cells, to_pixels


def test_stride_one_is_the_identity():
    points = torch.rand(2, 5, 2)
    assert torch.equal(to_cells(points, 1), points)
    assert torch.equal(to_pixels(points, 1), points)


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_a_cell_is_centred_on_the_pixels_it_covers(stride):
    cells = torch.arange(6.0)
    covered = torch.arange(6 * stride, dtype=torch.float32).view(6, stride)
    torch.testing.assert_close(to_pixels(cells, stride), covered.mean(1))
    points = torch.rand(3, 4, 2) * 40
    torch.testing.assert_close(to_pixels(to_cells(points, stride), stride), points)


@pytest.mark.parametrize("stride", [2, 4])
def test_it_commutes_with_mirroring(stride):
    cells = torch.tensor([0.0, 1.3, 5.0])
    width = 8 * stride
    torch.testing.assert_close(to_pixels(8 - 1 - cells, stride), width - 1 - to_pixels(cells, stride))


@pytest.mark.parametrize("stride", [2, 4])
def test_it_is_where_interpolation_puts_them(stride):
    """A ramp of input coordinates, averaged down: each cell then holds its own place on the input."""
    ramp = torch.arange(8.0 * stride)[None, None, None]
    down = F.interpolate(ramp, scale_factor=(1, 1 / stride), mode="area")
    torch.testing.assert_close(down.flatten(), to_pixels(torch.arange(8.0), stride))
