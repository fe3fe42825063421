import pytest
import timm
import torch
from safetensors.torch import save_file

from pipeline.errors import ConfigError
from pipeline.models.backbone import Backbone, create
from pipeline.models.coordinates import CoordConv2d
from pipeline.models.residual import ImageNetNorm


@pytest.mark.parametrize(
    ("name", "classifier", "published"),
    [
        ("resnet50", 2_049_000, 25.557),
        ("densenet121", 1_025_000, 7.979),
        ("wide_resnet50_2", 2_049_000, 68.883),
    ],
)
def test_published_parameter_counts_less_the_classifier(name, classifier, published):
    with torch.device("meta"):
        backbone = Backbone(name)
    parameters = sum(p.numel() for p in backbone.parameters())
    assert (parameters + classifier) / 1e6 == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "wide_resnet50_2", "resnet18"])
def test_features_have_the_channels_and_stride_it_says(name):
    with torch.device("meta"):
        backbone = Backbone(name)
        image = torch.empty(2, 3, 96, 128)
        assert backbone(image).shape == (2, backbone.channels, 3, 4)
        if "resnet" in name:
            shapes = [tuple(x.shape) for x in backbone.stages(image)]
            assert shapes == [(2, c, 24 >> i, 32 >> i) for i, c in enumerate(backbone.stage_channels)]


def test_stages_end_in_the_features():
    torch.manual_seed(0)
    backbone = Backbone("resnet18").eval()
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(backbone.stages(image)[-1], backbone(image))


def test_the_weights_of_the_file_and_the_normalisation_they_expect(tmp_path):
    torch.manual_seed(3)
    classifier = timm.create_model("resnet18", pretrained=False).eval()
    path = str(tmp_path / "resnet18.safetensors")
    save_file(classifier.state_dict(), path)
    torch.manual_seed(4)
    image = torch.rand(1, 3, 64, 64)
    mean, deviation = (torch.tensor(classifier.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    expected = classifier.forward_features((image - mean) / deviation)
    for coord_conv in ("none", "first"):
        backbone = Backbone("resnet18", path, coord_conv).eval()
        torch.testing.assert_close(backbone(image), expected)
    assert isinstance(backbone.body.conv1, CoordConv2d)


def test_another_networks_weights_and_an_unknown_name_are_refused(tmp_path):
    path = str(tmp_path / "resnet18.safetensors")
    save_file(timm.create_model("resnet18", pretrained=False).state_dict(), path)
    with torch.device("meta"), pytest.raises(ConfigError, match="another network's|the network's is"):
        Backbone("resnet50", path)
    with pytest.raises(ConfigError, match="choose from resnet18"):
        Backbone("vgg16")


def test_a_grey_image_of_the_mean_is_zero():
    norm = ImageNetNorm()
    image = norm.mean.expand(2, 3, 4, 4)
    torch.testing.assert_close(norm(image), torch.zeros(2, 3, 4, 4))
    torch.testing.assert_close(norm(image + norm.deviation), torch.ones(2, 3, 4, 4))


def test_weights_are_random_and_nothing_is_fetched(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a network was asked for")

    monkeypatch.setattr("socket.socket.connect", refuse)
    with torch.device("meta"):
        create("resnet50")
