"""What holds of every generator, however many there will be: it is found, built from a config, and keeps its promises."""

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.markup import load_markup
from pipeline.models.cost import cost
from pipeline.models.output import as_output, traits
from pipeline.registry import Part, check, find, names

MARKUP = load_markup("ibug68")
# The smallest of each, by the parameters a YAML would name.
SMALL = {
    "cpn": {"backbone": "resnet18", "width": 8},
    "dunet": {"width": 8, "growth": 4, "stacks": 2},
    "hourglass": {"width": 8, "stacks": 2, "attention": "point_edge"},
    "hrnet": {"variant": "hrnet_w18_small", "attention": "edge"},
    "rcn": {"width": 4},
    "regressor": {"backbone": "resnet18"},
    "simple_baseline": {"backbone": "resnet18", "width": 8, "attention": "point"},
}


def build(name, **parameters):
    part = Part(name=name, **parameters)
    constructor = find("model", name)
    takes = constructor.__init__.__annotations__
    given = {"num_landmarks": 68, "input_size": 64, "markup": MARKUP}
    with torch.device("meta"):
        return constructor(
            **check("model", part), **{key: value for key, value in given.items() if key in takes}
        )


def test_all_are_here():
    assert names("model") == sorted(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_it_gives_what_it_promises(name):
    model = build(name, **SMALL[name])
    promised = traits(model)
    with torch.device("meta"):
        output = as_output(model(torch.empty(2, 3, 64, 64)))
    assert 64 % promised.input_multiple == 0
    assert output.gives == promised.gives <= traits(type(model)).gives
    assert promised.input_multiple % traits(type(model)).input_multiple == 0
    assert output.stride == promised.stride
    cells = 64 // promised.stride
    shapes = {
        "heatmaps": (2, 68, cells, cells),
        "point_maps": (2, 68, cells, cells),
        "edges": (2, len(MARKUP.curves), cells, cells),
        "points": (2, 68, 2),
        "cholesky": (2, 68, 3),
    }
    for stage in output.stages:
        assert stage.gives == promised.gives
        for part in stage.gives:
            assert getattr(stage, part).shape == shapes[part]


@pytest.mark.parametrize("name", sorted(set(SMALL) - {"rcn"}))
def test_coordinates_are_a_switch_on_it(name):
    plain, seeing = build(name, **SMALL[name]), build(name, **SMALL[name], coord_conv="first")
    first = next(m for m in plain.modules() if isinstance(m, torch.nn.Conv2d))
    added = 2 * first.out_channels * first.kernel_size[0] * first.kernel_size[1]
    assert cost(seeing, 64).parameters == cost(plain, 64).parameters + added


@pytest.mark.parametrize("name", SMALL)
def test_an_unknown_parameter_and_a_wrong_type_are_refused_when_the_config_is_read(name):
    with pytest.raises(ConfigError, match="no parameter 'depth'"):
        check("model", Part(name=name, depth=3))
    field = next(iter(SMALL[name]))
    with pytest.raises(ConfigError, match=f"parameter '{field}'"):
        check("model", Part(name=name, **{field: [1]}))
