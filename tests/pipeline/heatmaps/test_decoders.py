"""Every decoder: what it promises of sub-pixel precision, and how it is found."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.heatmaps.average import barycentre, relu_mean, relu_weights, temperature_softargmax
from pipeline.heatmaps.decode import mean, softargmax
from pipeline.heatmaps.decoder import Decoder, MeanDecoder
from pipeline.heatmaps.draw import gaussian_heatmaps
from pipeline.heatmaps.peak import argmax, dark, quarter_shift
from pipeline.heatmaps.unit_peak import unit_gaussian_heatmaps
from pipeline.registry import Part, build, names

# The largest error, px, of each decoder on a Gaussian it was trained for, away from the border.
PROMISED = {
    "argmax": 0.5,
    "quarter_shift": 0.26,
    "dark": 0.05,
    "softargmax": 0.05,
    "temperature_softargmax": 0.05,
    "relu_mean": 0.05,
    "barycentre": 0.05,
}
inner = st.floats(12.0, 27.0)


def find(name: str, **parameters: float) -> Decoder:
    return build("decoder", Part.model_validate({"name": name, **parameters}))


MEANS = [name for name in PROMISED if isinstance(find(name), MeanDecoder)]


def test_all_decoders_are_covered():
    assert names("decoder") == sorted(PROMISED)
    assert sorted(MEANS) == ["barycentre", "relu_mean", "softargmax", "temperature_softargmax"]
    assert [find(name).name for name in PROMISED] == list(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
@settings(max_examples=25, deadline=None)
@given(x=inner, y=inner, sigma=st.sampled_from([1.0, 1.5, 3.0]))
def test_encode_then_decode(name, x, y, sigma):
    point = torch.tensor([[[x, y]]], dtype=torch.float64)
    for drawn in (
        gaussian_heatmaps(point, (40, 41), sigma),
        unit_gaussian_heatmaps(point, (40, 41), sigma),
    ):
        decoder = find(name)
        # The network's scores that mean this heatmap: its logarithm under a softmax, itself under a ReLU.
        scores = drawn if name == "relu_mean" else drawn.clamp(min=1e-300).log()
        found = decoder(scores, drawn)
        assert found.shape == (1, 1, 2)
        assert (found - point).abs().max().item() <= PROMISED[name]


@settings(max_examples=25, deadline=None)
@given(x=st.floats(3.0, 36.0), y=st.floats(3.0, 36.0))
def test_dark_with_its_smoothing_keeps_its_promise(x, y):
    point = torch.tensor([[[x, y]]], dtype=torch.float64)
    found = find("dark", blur=1.0).points(unit_gaussian_heatmaps(point, (40, 40), 1.0))
    assert (found - point).abs().max().item() <= 0.05


@settings(max_examples=25, deadline=None)
@given(x=st.floats(1.0, 38.0), y=st.floats(1.0, 38.0))
def test_dark_is_exact_on_sampled_gaussians_up_to_the_last_pixel_but_one(x, y):
    point = torch.tensor([[[x, y]]], dtype=torch.float64)
    heatmap = unit_gaussian_heatmaps(point, (40, 40), 1.5)
    if ((argmax(heatmap) > 0) & (argmax(heatmap) < 39)).all():
        assert (dark(heatmap) - point).abs().max().item() < 1e-6


def test_dark_follows_a_tilted_ellipse():
    precision = torch.tensor([[0.5, 0.3], [0.3, 0.4]], dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(*[torch.arange(20, dtype=torch.float64)] * 2, indexing="xy"), -1)
    d = grid - torch.tensor([9.3, 10.8])
    heatmap = torch.exp(-0.5 * torch.einsum("yxi,ij,yxj->yx", d, precision, d))[None, None]
    torch.testing.assert_close(
        dark(heatmap)[0, 0], torch.tensor([9.3, 10.8], dtype=torch.float64), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("decode", [argmax, quarter_shift, dark])
def test_peaks_on_the_border_and_flat_heatmaps_stay_in_the_grid(decode):
    heatmap = torch.zeros(1, 3, 6, 8)
    heatmap[0, 0, 0, 7] = 1.0
    heatmap[0, 1, 5, 3] = 1.0
    heatmap[0, 1, 5, 4] = 0.5
    found = decode(heatmap)
    assert found[0, 0].tolist() == [7.0, 0.0]
    assert found[0, 1, 1].item() == 5.0
    assert found[0, 2].tolist() == [0.0, 0.0]
    assert found.isfinite().all()


def test_quarter_shift_goes_to_the_larger_neighbour_on_each_axis():
    heatmap = torch.zeros(1, 1, 5, 5)
    heatmap[0, 0, 2, 2], heatmap[0, 0, 2, 1], heatmap[0, 0, 3, 2] = 1.0, 0.4, 0.2
    assert quarter_shift(heatmap).tolist() == [[[1.75, 2.25]]]


def test_averages_by_their_definitions():
    scores = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    positive = scores.clamp(min=0)
    p = positive / positive.sum((-2, -1), keepdim=True)
    x = (p.sum(-2) * torch.arange(7)).sum(-1)
    y = (p.sum(-1) * torch.arange(5)).sum(-1)
    torch.testing.assert_close(relu_mean(scores), torch.stack((x, y), -1))
    torch.testing.assert_close(barycentre(p), mean(p))
    torch.testing.assert_close(temperature_softargmax(scores, 0.5), softargmax(scores, 2.0))
    peak = argmax(scores)
    torch.testing.assert_close(temperature_softargmax(scores, 1e-4), peak.double(), atol=1e-6, rtol=0)


def test_a_heatmap_without_a_positive_value_is_the_centre_with_a_finite_gradient():
    scores = torch.full((1, 1, 5, 7), -1.0, requires_grad=True)
    points = relu_mean(scores)
    points.sum().backward()
    torch.testing.assert_close(points.detach(), torch.tensor([[[3.0, 2.0]]]))
    assert scores.grad.isfinite().all()
    torch.testing.assert_close(relu_weights(scores).sum(), torch.tensor(1.0))


@pytest.mark.parametrize("name", PROMISED)
def test_half_precision_gives_float32_points(name):
    heatmap = gaussian_heatmaps(torch.tensor([[[6.0, 9.0]]]), (16, 16), 1.5)
    scores = heatmap if name == "relu_mean" else heatmap.log()
    found = find(name)(scores.bfloat16(), heatmap.bfloat16())
    assert found.dtype == torch.float32
    assert (found - torch.tensor([6.0, 9.0])).abs().max().item() < 0.3


def test_differentiable_decoders_are_the_mean_of_their_weights():
    scores = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    for name in MEANS:
        decoder = find(name)
        torch.testing.assert_close(decoder.points(scores), mean(decoder.weights(scores)))
    torch.testing.assert_close(find("softargmax", beta=3.0).points(scores), softargmax(scores, 3.0))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("dakr", {}, "no decoder named 'dakr': did you mean 'dark'"),
        ("argmax", {"beta": 1.0}, r"decoder 'argmax' has no parameter 'beta' \(it has: none\)"),
        ("softargmax", {"beta": 0.0}, "parameter 'beta': 0.0; it must be a positive number"),
        ("temperature_softargmax", {"temperature": math.nan}, "parameter 'temperature'"),
        ("dark", {"blur": -1.0}, "it must be 0 or more"),
    ],
)
def test_what_is_no_decoder_is_refused(name, parameters, message):
    with pytest.raises(ConfigError, match=message):
        find(name, **parameters)
