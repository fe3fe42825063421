"""What SimpleBaselines, HRNet and CPN, heatmap networks on a classifier's body, have in common."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline.errors import ConfigError
from pipeline.markup import Curve, Markup
from pipeline.models.coordinates import CoordConv2d
from pipeline.models.cost import cost
from pipeline.models.cpn import CPN
from pipeline.models.hrnet import HRNet
from pipeline.models.output import traits
from pipeline.models.simple_baseline import SimpleBaseline

MARKUP = Markup("small", 5, (Curve("a", (0, 1, 2)), Curve("b", (2, 3), closed=True)), ())
SMALL = {
    SimpleBaseline: {"backbone": "resnet18", "width": 8},
    HRNet: {"variant": "hrnet_w18_small"},
    CPN: {"backbone": "resnet18", "width": 8},
}
every = pytest.mark.parametrize("model_class", SMALL)


@pytest.mark.parametrize(
    ("build", "size", "published"),
    [
        (lambda: SimpleBaseline(17), (256, 192), 34.0),  # Xiao et al., table 2
        (lambda: CPN(17), (256, 192), 27.0),  # Sun et al., CVPR 2019, table 1
    ],
)
def test_published_parameter_counts(build, size, published):
    with torch.device("meta"):
        figures = cost(build(), size)
    assert figures.parameters / 1e6 == pytest.approx(published, abs=0.05)


def test_hrnet_w18_has_the_published_size_at_the_most_landmarks_and_the_fewest():
    with torch.device("meta"):
        model = HRNet(98)
        figures = cost(model, 256)
    assert figures.parameters / 1e6 == pytest.approx(9.66, abs=0.01)  # WFLW, the authors' face code
    assert figures.macs / 2**30 == pytest.approx(4.3, abs=0.1)  # Wang et al.
    channels = model.head.heatmaps.in_channels
    assert channels == 270
    assert 9.3e6 <= figures.parameters - (98 - 19) * (channels + 1) <= 9.7e6


@every
@pytest.mark.parametrize("shape", [(64, 64), (96, 128)])
def test_shapes(model_class, shape):
    with torch.device("meta"):
        model = model_class(5, **SMALL[model_class])
        output = model(torch.empty(2, 3, *shape))
    assert output.stride == traits(model).stride == 4
    assert output.gives == traits(model).gives == {"heatmaps"}
    assert len(output.stages) == (5 if model_class is CPN else 1)
    for stage in output.stages:
        assert stage.heatmaps.shape == (2, 5, shape[0] // 4, shape[1] // 4)


@pytest.mark.parametrize(
    ("model_class", "settings", "stride"),
    [
        (SimpleBaseline, {"deconvolutions": 2}, 8),
        (SimpleBaseline, {"deconvolutions": 4}, 2),
        (SimpleBaseline, {"deconvolutions": 5}, 1),
        (SimpleBaseline, {"backbone": "densenet121"}, 4),
        (HRNet, {"stride": 2}, 2),
        (HRNet, {"variant": "hrnet_w32"}, 4),
        (CPN, {"backbone": "wide_resnet50_2"}, 4),
    ],
)
def test_strides_and_bodies(model_class, settings, stride):
    with torch.device("meta"):
        model = model_class(5, **SMALL[model_class] | settings)
        output = model(torch.empty(1, 3, 64, 64))
    assert output.stride == traits(model).stride == stride
    assert output.last.heatmaps.shape == (1, 5, 64 // stride, 64 // stride)


@every
@pytest.mark.parametrize("coord_conv", ["none", "first", "all"])
def test_every_parameter_gets_a_gradient(model_class, coord_conv):
    torch.manual_seed(0)
    settings = {} if model_class is CPN else {"attention": "point_edge", "markup": MARKUP}
    model = model_class(5, **SMALL[model_class], coord_conv=coord_conv, **settings)
    convolutions = sum(isinstance(m, CoordConv2d) for m in model.modules())
    assert convolutions == {"none": 0, "first": 1}.get(coord_conv, convolutions)
    assert coord_conv != "all" or convolutions > 15
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # timm starts residual branches at zero
    output = model(torch.rand(2, 3, 64, 64))
    assert output.gives == model.gives
    sum((getattr(s, n) * torch.randn(16, 16)).sum() for s in output.stages for n in s.gives).backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]


@every
def test_evaluation_judges_each_image_alone(model_class):
    torch.manual_seed(0)
    model = model_class(5, **SMALL[model_class])
    images = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        whole, part = model(images).last.heatmaps[:1], model(images[:2]).last.heatmaps[:1]
        assert not torch.allclose(whole, part, atol=1e-4)
        model.eval()
        torch.testing.assert_close(
            model(images).last.heatmaps[:1], model(images[:1]).last.heatmaps, rtol=1e-3, atol=1e-4
        )


def test_hrnets_body_takes_a_classifiers_weights_and_leaves_its_head(tmp_path):
    torch.manual_seed(1)
    classifier = timm.create_model("hrnet_w18_small", pretrained=False).eval()
    path = str(tmp_path / "hrnet.safetensors")
    save_file(classifier.state_dict(), path)
    model = HRNet(5, "hrnet_w18_small", path).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        x = model.norm(image)
        ours, theirs = model.body, classifier

        def branches(body):
            y = body.act1(body.bn1(body.conv1(x)))
            return body.stages(body.act2(body.bn2(body.conv2(y))))

        for a, b in zip(branches(ours), branches(theirs), strict=True):
            torch.testing.assert_close(a, b)
    assert not any("classifier" in name or "incre" in name for name in model.state_dict())


def test_cpn_refines_from_all_levels():
    torch.manual_seed(0)
    model = CPN(5, **SMALL[CPN]).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = model(image)
        model.predictions[0][1].weight.zero_()
        after = model(image)
        for earlier, later in zip(before.stages[1:], after.stages[1:], strict=True):
            assert torch.equal(earlier.heatmaps, later.heatmaps)
        for lateral in range(4):
            model.load_state_dict(CPN(5, **SMALL[CPN]).state_dict())
            reference = model(image).last.heatmaps
            model.laterals[lateral][0].weight.zero_()
            assert not torch.allclose(model(image).last.heatmaps, reference)


@pytest.mark.parametrize(
    ("model_class", "settings", "message"),
    [
        (SimpleBaseline, {"deconvolutions": 6}, "deconvolutions is 6"),
        (SimpleBaseline, {"width": 0}, "width"),
        (SimpleBaseline, {"attention": "edge"}, "no curves"),
        (HRNet, {"stride": 1}, "choose 2 or 4"),
        (HRNet, {"variant": "hrnet_w10"}, "choose from"),
        (CPN, {"backbone": "densenet121"}, "needs a ResNet"),
        (CPN, {"coord_conv": "some"}, "choose from"),
    ],
)
def test_bad_settings_are_refused(model_class, settings, message):
    with torch.device("meta"), pytest.raises(ConfigError, match=message):
        model_class(5, **SMALL[model_class] | settings)


@every
def test_an_image_that_cannot_work_says_why(model_class):
    with torch.device("meta"):
        model = model_class(5, **SMALL[model_class])
        with pytest.raises(ValueError, match=f"{model_class.__name__} needs images .* multiples of 32"):
            model(torch.empty(1, 3, 80, 80))
