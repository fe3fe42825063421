"""The named sets: what the papers say, and what a YAML can say."""

from __future__ import annotations

import pytest
import yaml

from pipeline.errors import ConfigError
from pipeline.markup import load_markup
from pipeline.registry import Part, build, names

OFFERED = {"markup": load_markup("ibug68")}


def make(text: str):
    return build("augmentation", Part.model_validate(yaml.safe_load(text)), **OFFERED)


def test_the_papers_sets_are_there():
    assert names("augmentation") == ["adnet", "custom", "uglli"]


def test_adnet_as_its_section_4_has_it():
    adnet = make("{name: adnet}")
    assert (adnet.geometry.rotation, adnet.geometry.scale, adnet.geometry.translation) == (18, 0.1, 0.05)
    assert (adnet.colour.grey, adnet.blur.probability) == (0.2, 0.3)
    assert (adnet.occlusion.probability, adnet.geometry.flip) == (0.4, 0.5)
    assert adnet.colour.brightness == adnet.colour.contrast == adnet.colour.channels == adnet.colour.hue == 0
    assert make("{name: adnet, blur_sigma: [0.001, 0.02]}").blur.sigma == (0.001, 0.02)


def test_uglli_occludes_in_its_second_split_only_and_never_mirrors():
    first, second = make("{name: uglli}"), make("{name: uglli, split: 2, occlusion: 0.3}")
    assert first.occlusion.probability == 0
    assert second.occlusion.probability == 0.3
    for one in (first, second):
        assert one.geometry.rotation > 0
        assert one.geometry.scale > 0
        assert one.colour.channels > 0
        assert one.geometry.flip == one.blur.probability == one.colour.grey == 0


def test_custom_takes_every_number_from_a_yaml():
    custom = make(
        "{name: custom, rotation: 30, rotation_probability: 0.6, scale: 0.2, translation: 0.1, flip: 0.5, brightness: 0.3, "
        "contrast: 0.2, saturation: 0.1, channels: 0.05, hue: 12, colour_probability: 0.8, grey: 0.15, blur: 0.25, "
        "blur_sigma: [0.0, 0.02], occlusion: 0.35, occlusion_size: [0.2, 0.3], padding: zeros, margin: 0.02}"
    )
    geometry, colour = custom.geometry, custom.colour
    assert (geometry.rotation, geometry.scale, geometry.translation, geometry.flip) == (30, 0.2, 0.1, 0.5)
    assert (geometry.rotation_probability, geometry.scale_probability) == (0.6, 1.0)
    assert (colour.brightness, colour.contrast, colour.saturation) == (0.3, 0.2, 0.1)
    assert (colour.channels, colour.hue, colour.probability, colour.grey) == (0.05, 12, 0.8, 0.15)
    assert (custom.blur.probability, custom.blur.sigma) == (0.25, (0.0, 0.02))
    assert (custom.occlusion.probability, custom.occlusion.size) == (0.35, (0.2, 0.3))
    assert (custom.padding, custom.margin) == ("zeros", 0.02)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: custom, rotate: 30}", "did you mean 'rotation'"),
        ("{name: custom, rotation: much}", "rotation"),
        ("{name: custom, rotation: 400}", r"rotation = 400.0: it must be in 0 … 180°"),
        ("{name: custom, flip: 50}", "flip = 50"),
        ("{name: custom, padding: mirror}", "padding"),
        ("{name: custom, blur_sigma: [0.02, 0.01]}", "blur_sigma"),
        ("{name: custom, occlusion_size: 0.3}", "occlusion_size"),
        ("{name: uglli, split: 3}", "split"),
        ("{name: adnett}", "did you mean 'adnet'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(text, message):
    with pytest.raises(ConfigError, match=message):
        make(text)
