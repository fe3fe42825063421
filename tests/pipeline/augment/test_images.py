"""What was drawn, done to images: in groups, from any type and layout, without a trace on what came."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.augment.batch import FaceBatch
from pipeline.augment.custom import Custom
from pipeline.augment.draws import step_generator
from pipeline.markup import load_markup

EVERYTHING = {
    "rotation": 25,
    "scale": 0.3,
    "scale_probability": 0.5,
    "rotation_probability": 0.5,
    "flip": 0.5,
    "contrast": 0.2,
    "hue": 10,
    "grey": 0.2,
    "blur": 0.4,
    "occlusion": 0.5,
}


def run(images_B3SS: Tensor, seed: int = 0, **parameters):
    return Custom(load_markup("mtfl5"), **parameters)(FaceBatch(images_B3SS), step_generator(seed, 0))


def changed(images_B3SS: Tensor, seed: int = 0, **parameters) -> Tensor:
    return run(images_B3SS, seed, **parameters).batch.images_B3SS


def test_a_group_of_images_is_changed_as_each_alone(monkeypatch: pytest.MonkeyPatch):
    images = torch.rand(7, 3, 64, 64)
    together = changed(images, 9, **EVERYTHING)
    monkeypatch.setattr("pipeline.augment.images._GROUP_PIXELS", 1)
    torch.testing.assert_close(changed(images, 9, **EVERYTHING), together, atol=1e-5, rtol=0)


@pytest.mark.parametrize("parameters", [EVERYTHING, {"rotation": 20}, {"flip": 0.5}])
def test_decoded_bytes_and_any_layout(parameters):
    bytes_B3SS = (torch.rand(4, 3, 64, 64) * 255).byte()
    expected = changed(bytes_B3SS.float() / 255, 3, **parameters)
    for images in (bytes_B3SS, bytes_B3SS.contiguous(memory_format=torch.channels_last)):
        got = changed(images, 3, **parameters)
        assert got.is_contiguous()
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("colours", [{"channels": 0.3}, {"contrast": 0.3, "hue": 40}])
def test_geometry_and_colour_in_one_pass_and_in_two(dtype, colours):
    images = torch.rand(3, 3, 48, 48)
    images = (images * 255).byte() if dtype == torch.uint8 else images.to(dtype)
    both = changed(images, 5, rotation=20, scale=0.1, **colours)
    # Each operation owns its random numbers: the same turns, and then the same colours.
    turned = changed(images, 5, rotation=20, scale=0.1)
    apart = changed(turned, 5, **colours)
    assert both.dtype == turned.dtype
    atol = 0.02 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(both, apart, atol=atol, rtol=0)
    assert (both - turned).abs().max() > 0.05


@pytest.mark.parametrize("parameters", [EVERYTHING, {"scale": 0.5}, {"flip": 0.5}, {"grey": 0.5}, {}])
def test_what_came_is_left_as_it_was(parameters):
    images = torch.rand(4, 3, 64, 64)
    before = images.clone()
    changed(images, 4, **parameters)
    assert torch.equal(images, before)


def test_each_operation_touches_the_images_it_was_drawn_for_alone():
    images = torch.rand(64, 3, 32, 32)
    for parameters in (
        {"grey": 0.3},
        {"blur": 0.3, "blur_sigma": (0.05, 0.05)},
        {"rotation": 20, "rotation_probability": 0.3},
    ):
        same = (changed(images, 6, **parameters) == images).flatten(1).all(1)
        assert 30 < same.sum() < 60


def test_a_image_that_shrinks_a_lot_is_smoothed_first():
    stripes = (torch.arange(128) % 2).float().expand(16, 3, 128, 128).contiguous()
    # Stripes a pixel wide cannot be held at half the size: what is left of them would be moiré.
    got = run(stripes, 5, scale=0.5)
    factor = got.affine_B23[:, 1, 1]
    assert (factor < 0.6).any()
    assert got.batch.images_B3SS[factor < 0.6][..., 48:80, 48:80].std((1, 2, 3)).max() < 0.08
