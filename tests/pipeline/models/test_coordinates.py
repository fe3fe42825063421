import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError
from pipeline.models.coordinates import CoordConv2d, add_coordinates, coordinate_channels
from pipeline.models.rcn import RCN


def test_channels_say_where_they_are():
    channels = coordinate_channels(torch.zeros(2, 5, 3, 5, dtype=torch.float64), radius=True)
    assert channels.shape == (2, 3, 3, 5)
    assert channels[1, :, 0, 0].tolist() == [-1, -1, 1]
    assert channels[1, :, 2, 4].tolist() == [1, 1, 1]
    assert channels[0, :, 1, 2].tolist() == [0, 0, 0]
    assert channels[0, 0, 1].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert channels[0, 2, 1, 3].item() == pytest.approx(0.5 / 2**0.5)


@pytest.mark.parametrize("radius", [False, True])
def test_it_starts_as_the_convolution_it_replaces_and_learns_at_once(radius):
    plain = nn.Conv2d(4, 6, 3, stride=2, padding=1)
    coord = CoordConv2d(plain, radius)
    x = torch.rand(2, 4, 9, 9)
    torch.testing.assert_close(coord(x), plain(x))
    assert coord.weight.shape == (6, 7 if radius else 6, 3, 3)
    (coord(x) * torch.rand(2, 6, 5, 5)).sum().backward()
    assert coord.weight.grad[:, 4:].abs().sum((0, 2, 3)).gt(0).all()


def test_it_can_tell_places_apart_where_a_convolution_cannot():
    coord = CoordConv2d(nn.Conv2d(1, 1, 1))
    nn.init.constant_(coord.weight, 1.0)
    constant = torch.zeros(1, 1, 5, 5)
    assert coord(constant).unique().numel() > 1


def test_first_and_all():
    def network():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.Sequential(nn.Conv2d(4, 4, 3), nn.ConvTranspose2d(4, 2, 2)),
        )

    image = torch.rand(2, 3, 12, 12)
    for where, count in (("none", 0), ("first", 1), ("all", 2)):
        model = network()
        assert add_coordinates(model, where) is model
        assert sum(isinstance(m, CoordConv2d) for m in model.modules()) == count
        torch.testing.assert_close(model(image), network()(image))
    assert isinstance(add_coordinates(network(), "first")[0], CoordConv2d)


def test_on_the_recombinator_network():
    model = add_coordinates(RCN(5, 4, dropout=0.0), "first", radius=True)
    assert model(torch.rand(1, 3, 32, 32)).shape == (1, 5, 32, 32)
    assert model.encoder[0].in_channels == 6


@pytest.mark.parametrize(
    ("model", "where", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2)), "first", "no convolution"),
        (nn.Conv2d(3, 3, 1), "second", "choose from"),
    ],
)
def test_what_cannot_be_is_refused(model, where, message):
    with pytest.raises(ConfigError, match=message):
        add_coordinates(model, where)
    with pytest.raises(ConfigError, match="grouped"):
        CoordConv2d(nn.Conv2d(4, 4, 1, groups=2))
