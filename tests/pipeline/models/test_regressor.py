import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError
from pipeline.models.cost import cost
from pipeline.models.output import traits
from pipeline.models.regressor import MODEL, CoordinateRegressor


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return CoordinateRegressor(5, "resnet18")


@pytest.mark.parametrize("shape", [(64, 64), (96, 64), (80, 80)])
def test_points_are_in_input_pixels_and_start_in_the_middle(model, shape):
    output = model.eval()(torch.rand(2, 3, *shape))
    assert output.gives == traits(model).gives == {"points"}
    assert output.last.points.shape == (2, 5, 2)
    middle = torch.tensor([(shape[1] - 1) / 2, (shape[0] - 1) / 2]).expand(2, 5, 2)
    torch.testing.assert_close(output.last.points, middle, rtol=0, atol=shape[0] / 20)


def test_the_mean_shape_is_where_it_starts_at_any_size():
    torch.manual_seed(0)
    model = CoordinateRegressor(2, "resnet18").eval()
    nn.init.zeros_(model.last.weight)
    model.set_mean(torch.tensor([[10.0, 20.0], [30.0, 5.5]]), (64, 64))
    torch.testing.assert_close(
        model(torch.rand(1, 3, 64, 64)).last.points, torch.tensor([[[10.0, 20.0], [30.0, 5.5]]])
    )
    # Twice the size: pixel 10's centre is at 10.5 of 64, so at 21 of 128, which is pixel 20.5.
    torch.testing.assert_close(
        model(torch.rand(1, 3, 128, 128)).last.points, torch.tensor([[[20.5, 40.5], [60.5, 11.5]]])
    )
    assert "mean_K2" in model.state_dict()
    with pytest.raises(ConfigError, match="a mean of"):
        model.set_mean(torch.zeros(3, 2), (64, 64))


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    model = CoordinateRegressor(5, "resnet18", coord_conv="first")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # timm starts residual branches at zero
    (model(torch.rand(2, 3, 64, 64)).last.points * torch.randn(2, 5, 2)).sum().backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]


def test_dropout_is_off_in_evaluation(model):
    dropping = CoordinateRegressor(5, "resnet18", dropout=0.5)
    dropping.load_state_dict(model.state_dict())
    image = torch.rand(1, 3, 64, 64)
    model.eval()
    torch.testing.assert_close(dropping.eval()(image).last.points, model(image).last.points)
    dropping.dropout.train()
    assert not torch.allclose(dropping(image).last.points, model(image).last.points, atol=1e-6)


def test_half_precision_points_are_float32(model):
    with torch.autocast("cpu", torch.bfloat16):
        assert model.eval()(torch.rand(1, 3, 64, 64)).last.points.dtype == torch.float32


@pytest.mark.parametrize("backbone", ["resnet50", "densenet121", "wide_resnet50_2"])
def test_the_last_layer_is_all_that_is_added(backbone):
    with torch.device("meta"):
        model = CoordinateRegressor(68, backbone)
    added = (model.backbone.channels + 1) * 136
    assert cost(model, 64).parameters == sum(p.numel() for p in model.backbone.parameters()) + added


def test_bad_settings_are_refused():
    with torch.device("meta"):
        with pytest.raises(ConfigError, match="num_landmarks is 0"):
            CoordinateRegressor(0)
        with pytest.raises(ConfigError, match="dropout is 1"):
            CoordinateRegressor(5, dropout=1.0)
        with pytest.raises(ConfigError, match="backbone is 'vgg'"):
            CoordinateRegressor(5, "vgg")
    assert MODEL is CoordinateRegressor
