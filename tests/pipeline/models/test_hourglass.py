import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError
from pipeline.markup import Curve, Markup, load_markup
from pipeline.models.coordinates import CoordConv2d
from pipeline.models.cost import cost
from pipeline.models.hourglass import MODEL, StackedHourglass
from pipeline.models.output import traits

MARKUP = Markup("small", 5, (Curve("a", (0, 1, 2)), Curve("b", (2, 3), closed=True)), ())
ADNET = {"attention": "point_edge", "coord_conv": "stacks", "pool": "blur"}


def test_adnet_has_the_published_size():
    """13.37 M and 17.0 GMACs of the authors' code, which has biases where a norm subtracts them."""
    with torch.device("meta"):
        model = StackedHourglass(68, 4, markup=load_markup("ibug68"), **ADNET)
    figures = cost(model, 256)
    without_bias = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.bias is None]
    gated_coordinates = 3 * 2 * 256
    assert (figures.parameters + sum(m.out_channels for m in without_bias) + gated_coordinates) / 1e6 == (
        pytest.approx(13.37, abs=0.005)
    )
    assert figures.macs / 1e9 == pytest.approx(17.04, rel=0.01)


def test_eight_stacks_have_newells_size():
    with torch.device("meta"):
        figures = cost(StackedHourglass(16, 8), 256)
    assert figures.parameters / 1e6 == pytest.approx(25.3, abs=0.3)  # 25.1 to 25.6 in the papers that list it


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("shape", [(64, 64), (32, 96)])
def test_heatmaps_have_the_size_the_stride_says(stride, shape):
    model = StackedHourglass(5, 2, 8, levels=3, stride=stride)
    output = model(torch.rand(2, 3, *shape))
    assert output.stride == stride == traits(model).stride
    assert len(output.stages) == 2
    for stage in output.stages:
        assert stage.heatmaps.shape == (2, 5, shape[0] // stride, shape[1] // stride)


@pytest.mark.parametrize("attention", ["none", "point", "edge", "point_edge"])
@pytest.mark.parametrize("coord_conv", ["none", "first", "stacks", "all"])
def test_every_parameter_gets_a_gradient(attention, coord_conv):
    torch.manual_seed(0)
    model = StackedHourglass(
        5, 2, 8, levels=2, stride=2, attention=attention, coord_conv=coord_conv, pool="blur", markup=MARKUP
    )
    output = model(torch.rand(3, 3, 32, 32))
    assert output.gives == model.gives
    total = sum((getattr(s, name) * torch.randn(16, 16)).sum() for s in output.stages for name in s.gives)
    total.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert not silent


def test_intermediate_supervision_reaches_later_stacks_only_through_what_was_said():
    torch.manual_seed(0)
    model = StackedHourglass(5, 3, 8, levels=2).eval()
    image = torch.rand(1, 3, 32, 32)
    before = model(image)
    with torch.no_grad():
        model.heads[1].heatmaps.weight.mul_(3)
    after = model(image)
    assert torch.equal(after.stages[0].heatmaps, before.stages[0].heatmaps)
    assert not torch.equal(after.stages[1].heatmaps, before.stages[1].heatmaps)
    assert not torch.equal(after.stages[2].heatmaps, before.stages[2].heatmaps)


def test_where_coordinates_go():
    def count(where):
        model = StackedHourglass(5, 2, 8, levels=1, coord_conv=where)
        return [n for n, m in model.named_modules() if isinstance(m, CoordConv2d)], model

    assert count("none")[0] == []
    assert count("first")[0] == ["stem.0.0"]
    names, model = count("stacks")
    assert names == ["stem.0.0", "mouths.0", "mouths.1"]
    assert model.mouths[0].in_channels == 8 + 3
    names, model = count("all")
    assert len(names) == sum(isinstance(m, nn.Conv2d) for m in model.modules())


def test_evaluation_judges_each_image_alone():
    torch.manual_seed(0)
    model = StackedHourglass(5, 1, 8, levels=2, markup=MARKUP, **ADNET)
    images = torch.rand(3, 3, 32, 32)
    assert not torch.allclose(model(images).last.heatmaps[:1], model(images[:2]).last.heatmaps[:1], atol=1e-4)
    model.eval()
    torch.testing.assert_close(model(images).last.heatmaps[:1], model(images[:1]).last.heatmaps)


def test_a_shift_of_the_input_by_the_coarsest_cell_shifts_the_heatmaps():
    torch.manual_seed(0)
    model = StackedHourglass(2, 1, 8, levels=2, stride=2, pool="blur").eval()
    image = torch.full((1, 3, 128, 128), 0.5)  # what the network sees as zero, as its padding is
    image[..., 56:72, 56:72] = torch.rand(3, 16, 16)
    moved = model(image.roll((8, -8), (-2, -1))).last.heatmaps
    middle = slice(24, 40)
    torch.testing.assert_close(
        moved.roll((-4, 4), (-2, -1))[..., middle, middle],
        model(image).last.heatmaps[..., middle, middle],
        rtol=1e-3,
        atol=1e-4,
    )


def test_it_learns_a_dot():
    torch.manual_seed(0)
    model = StackedHourglass(1, 2, 8, levels=2, stride=2)
    image = torch.zeros(4, 3, 32, 32)
    rows, columns = torch.tensor([4, 10, 18, 26]), torch.tensor([6, 24, 14, 8])
    for i in range(4):
        image[i, :, rows[i] : rows[i] + 2, columns[i] : columns[i] + 2] = 1.0
    label = rows // 2 * 16 + columns // 2
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        loss = sum(nn.functional.cross_entropy(s.heatmaps.flatten(1), label) for s in model(image).stages)
        loss.backward()
        optimizer.step()
    for stage in model(image).stages:
        assert stage.heatmaps.flatten(1).argmax(1).tolist() == label.tolist()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stacks": 0}, "stacks is 0"),
        ({"width": 0}, "width is 0"),
        ({"stride": 3}, "choose 1, 2 or 4"),
        ({"coord_conv": "second"}, "choose from"),
        ({"pool": "mean"}, "choose from"),
        ({"attention": "edge"}, "no curves"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        StackedHourglass(5, **{"width": 8, "stacks": 1, **settings})


def test_an_image_that_cannot_work_says_why():
    with pytest.raises(ValueError, match="StackedHourglass needs images .* multiples of 16"):
        StackedHourglass(5, 1, 8, levels=2)(torch.rand(1, 3, 40, 32))


def test_found_by_name():
    assert MODEL is StackedHourglass
