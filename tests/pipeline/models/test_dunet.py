import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.models.cholesky import covariance
from pipeline.models.cost import cost
from pipeline.models.dunet import MODEL, DUNet
from pipeline.models.output import traits


def expected_parameters(stacks, order, w, g, k, cells):
    """Layer by layer: a pre-activated convolution has 2 of batch norm per input channel, and no bias."""
    total = 3 * 49 * w + 2 * w

    def pre(inputs, outputs, kernel=1):
        return 2 * inputs + inputs * outputs * kernel**2

    for i in range(stacks):
        j = min(i, order)
        for channels, adapters, blocks in ((w, 2, 4), (w, 1, 1), (2 * w, 1, 4)):
            known = channels + j * g
            total += blocks * (pre(known, 4 * g) + pre(4 * g, g, 3) + adapters * pre(known + g, w))
        total += pre(w, k) + k
        if i:
            total += pre(w * (1 + j), w)
    return total + 3 * k * (w * cells + 1)


@pytest.mark.parametrize(
    ("stacks", "order", "width", "growth"), [(4, 1, 128, 32), (8, 1, 128, 32), (3, 2, 8, 4), (2, 0, 8, 4)]
)
def test_parameters_layer_by_layer(stacks, order, width, growth):
    with torch.device("meta"):
        model = DUNet(68, 256, stacks, order, width, growth)
    assert cost(model, 256).parameters == expected_parameters(stacks, order, width, growth, 68, 16)


def test_the_bottleneck_is_the_papers():
    with torch.device("meta"):
        model = DUNet()
    assert (model.estimator.linear.in_features, model.estimator.linear.out_features) == (2048, 204)


@pytest.mark.parametrize(("stride", "size"), [(4, 64), (2, 32), (2, 64), (1, 32)])
def test_shapes(stride, size):
    model = DUNet(5, size, 3, 2, 8, 4, stride=stride)
    output = model(torch.rand(2, 3, size, size))
    assert output.stride == stride
    assert output.gives == model.gives == {"heatmaps", "cholesky"}
    assert [s.heatmaps.shape for s in output.stages] == [(2, 5, size // stride, size // stride)] * 3
    assert [s.cholesky.shape for s in output.stages] == [(2, 5, 3)] * 3


def test_without_covariances_it_takes_any_size():
    model = DUNet(5, 250, 2, 1, 8, 4, stride=2, cholesky=False)
    assert traits(model).gives == {"heatmaps"}
    assert model(torch.rand(2, 3, 32, 96)).last.heatmaps.shape == (2, 5, 16, 48)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("coord_conv", ["none", "all"])
def test_every_parameter_gets_a_gradient(order, coord_conv):
    torch.manual_seed(0)
    model = DUNet(5, 64, 3, order, 8, 4, stride=2, coord_conv=coord_conv, pool="blur")
    stages = model(torch.rand(3, 3, 64, 64)).stages
    sum((s.heatmaps * torch.randn(32, 32)).sum() + s.cholesky.square().sum() for s in stages).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert not silent


def test_covariances_are_positive_definite_and_in_input_pixels():
    torch.manual_seed(0)
    model = DUNet(5, 64, 1, 1, 8, 4).eval()
    image = torch.rand(2, 3, 64, 64)
    entries = model(image).last.cholesky
    assert torch.linalg.cholesky_ex(covariance(entries)).info.eq(0).all()
    x = model.stem(image * 2 - 1)
    torch.testing.assert_close(entries, 4 * model.estimator(model.unets[0](x, [])[1]))


def test_order_is_how_far_findings_travel():
    """Noise in what U-net 0 finds reaches U-net 2 directly at order 2 only."""
    torch.manual_seed(0)
    for order in (1, 2):
        model = DUNet(2, 32, 3, order, 8, 4, stride=2, cholesky=False).eval()
        seen = []
        hook = (
            model.unets[2].down[0].register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[1]))
        )
        model(torch.rand(1, 3, 32, 32))
        hook.remove()
        assert len(seen[0]) == order


def test_evaluation_judges_each_image_alone():
    torch.manual_seed(0)
    model = DUNet(5, 32, 2, 1, 8, 4, stride=2)
    images = torch.rand(3, 3, 32, 32)
    assert not torch.allclose(model(images).last.heatmaps[:1], model(images[:2]).last.heatmaps[:1], atol=1e-4)
    model.eval()
    torch.testing.assert_close(model(images).last.heatmaps[:1], model(images[:1]).last.heatmaps)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stacks": 0}, "stacks is 0"),
        ({"growth": 0}, "growth is 0"),
        ({"order": -1}, "order is -1"),
        ({"stride": 8}, "choose 1, 2 or 4"),
        ({"input_size": 80}, "multiple of 64"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        DUNet(5, **{"width": 8, "growth": 4, "stacks": 1, **settings})


def test_an_image_of_another_size_says_why():
    with pytest.raises(ValueError, match="built for images of side 64"):
        DUNet(5, 64, 1, 1, 8, 4)(torch.rand(1, 3, 128, 128))
    with pytest.raises(ValueError, match="multiples of 64"):
        DUNet(5, 64, 1, 1, 8, 4)(torch.rand(1, 3, 72, 72))


def test_found_by_name():
    assert MODEL is DUNet
