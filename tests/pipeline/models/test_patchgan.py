import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError
from pipeline.models.patchgan import DISCRIMINATOR, GaussianNoise, PatchGAN


def layers_of(model, kind):
    return [module for module in model.modules() if isinstance(module, kind)]


def test_structure_of_the_papers_discriminator():
    model = PatchGAN(71)
    kinds = [type(block).__name__ for block in model.blocks]
    assert kinds == [
        *("GaussianNoise", "Conv2d", "LeakyReLU"),
        *("GaussianNoise", "Conv2d", "BatchNorm2d", "LeakyReLU"),
        *("GaussianNoise", "Conv2d", "BatchNorm2d", "LeakyReLU"),
        *("GaussianNoise", "Conv2d"),
    ]
    convs = layers_of(model, nn.Conv2d)
    assert [(c.in_channels, c.out_channels) for c in convs] == [(71, 64), (64, 128), (128, 256), (256, 1)]
    assert [c.stride[0] for c in convs] == [2, 2, 1, 1]
    assert all(c.kernel_size == (4, 4) for c in convs)
    assert [c.bias is None for c in convs] == [False, True, True, False]
    assert [n.sigma for n in layers_of(model, GaussianNoise)] == [0.2] * 4
    assert [a.negative_slope for a in layers_of(model, nn.LeakyReLU)] == [0.2] * 3


@pytest.mark.parametrize("layers", [2, 3, 4, 5, 6])
def test_layers_and_batch_norms(layers):
    model = PatchGAN(5, width=2, layers=layers)
    assert len(layers_of(model, nn.Conv2d)) == layers
    assert len(layers_of(model, nn.BatchNorm2d)) == layers - 2


def test_patches_at_the_papers_size():
    assert PatchGAN(71, width=4)(torch.rand(2, 71, 80, 80)).shape == (2, 1, 18, 18)


def test_receptive_field_is_34_pixels():
    model = PatchGAN(1, width=4).eval()
    image = torch.rand(1, 1, 80, 80, requires_grad=True)
    model(image)[0, 0, 9, 9].backward()
    seen = image.grad[0, 0].nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [34, 34]


def test_noise_is_off_in_evaluation_and_on_in_training():
    torch.manual_seed(0)
    model = PatchGAN(4, width=4)
    x = torch.rand(2, 4, 32, 32)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_noise_has_the_standard_deviation_asked_for():
    torch.manual_seed(0)
    noise = GaussianNoise(0.2)
    added = noise(torch.full((200_000,), 3.0)) - 3.0
    assert added.std().item() == pytest.approx(0.2, rel=0.01)
    assert abs(added.mean().item()) < 0.003
    assert torch.equal(noise.eval()(added), added)


def test_without_noise_training_is_deterministic_and_the_input_is_left_alone():
    model = PatchGAN(4, width=4, noise=0.0)
    x = torch.rand(2, 4, 32, 32)
    kept = x.clone()
    assert torch.equal(model(x), model(x))
    assert torch.equal(x, kept)


def test_noise_follows_the_global_seed():
    model = PatchGAN(4, width=4)
    x = torch.rand(2, 4, 32, 32)
    torch.manual_seed(1)
    first = model(x)
    torch.manual_seed(1)
    assert torch.equal(first, model(x))


def test_gradients_reach_the_heatmaps():
    x = torch.rand(1, 4, 32, 32, requires_grad=True)
    PatchGAN(4, width=4)(x).sum().backward()
    assert x.grad.abs().amax((0, 2, 3)).gt(0).all()


@pytest.mark.parametrize("bad", [{"layers": 1}, {"width": 0}, {"in_channels": 0}, {"noise": -0.1}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(ConfigError, match="PatchGAN"):
        PatchGAN(**{"in_channels": 4, **bad})


def test_spectral_norm_bounds_every_convolution_and_takes_the_place_of_batch_norm():
    torch.manual_seed(0)
    model = PatchGAN(5, width=8, spectral_norm=True)
    assert not layers_of(model, nn.BatchNorm2d)
    with torch.no_grad():
        for convolution in layers_of(model, nn.Conv2d):
            convolution.parametrizations.weight.original.mul_(7.0)
    for _ in range(60):
        model(torch.rand(2, 5, 32, 32))  # a power iteration each
    for convolution in layers_of(model, nn.Conv2d):
        assert torch.linalg.matrix_norm(convolution.weight.flatten(1), 2).item() == pytest.approx(
            1.0, rel=0.02
        )
    with torch.device("meta"):
        assert PatchGAN(5, width=8, spectral_norm=True)(torch.empty(2, 5, 32, 32)).shape == (2, 1, 6, 6)


def test_found_by_name():
    assert DISCRIMINATOR is PatchGAN
