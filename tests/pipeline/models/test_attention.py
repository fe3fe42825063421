import math

import pytest
import torch
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.markup import Curve, load_markup
from pipeline.models.attention import AttentionHead, edge_mask, edges_of_landmarks

# Landmark 1 lies on both curves, landmark 3 on none.
CURVES = (Curve("a", (0, 1)), Curve("b", (1, 2)))
PARTS = {
    "none": {"heatmaps"},
    "point": {"heatmaps", "point_maps"},
    "edge": {"heatmaps", "edges"},
    "point_edge": {"heatmaps", "edges", "point_maps"},
}


def test_which_edges_a_landmark_lies_on():
    assert edges_of_landmarks(4, CURVES).tolist() == [[0, 0], [0, 1], [1, 1], [2, 2]]
    markup = load_markup("ibug68")
    index = edges_of_landmarks(68, markup.curves)
    for k in range(68):
        assert {*index[k].tolist()} == {e for e, c in enumerate(markup.curves) if k in c.indices}


def test_edge_mask_by_hand():
    edges = torch.tensor([[[[0.2, 0.9]], [[0.7, 0.4]]]])
    mask = edge_mask(edges, edges_of_landmarks(4, CURVES))
    assert mask.shape == (1, 4, 1, 2)
    torch.testing.assert_close(mask[0, :, 0], torch.tensor([[0.2, 0.9], [0.7, 0.9], [0.7, 0.4], [1.0, 1.0]]))


def head_with(attention, masking, scores, edges, points):
    """A head whose convolutions copy given maps out of its features."""
    head = AttentionHead(10, 4, attention, CURVES, masking)
    for layer, first in ((head.heatmaps, 0), (head.edges, 4), (head.point_maps, 6)):
        if layer is not None:
            torch.nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                torch.nn.init.zeros_(layer.bias)
            with torch.no_grad():
                for channel in range(layer.out_channels):
                    layer.weight[channel, first + channel] = 1.0
    return head(torch.cat([scores, edges, points], dim=1))


@pytest.mark.parametrize("attention", PARTS)
@pytest.mark.parametrize("masking", ["product", "log"])
def test_the_mask_cell_by_cell(attention, masking):
    torch.manual_seed(0)
    scores, edges, points = torch.randn(1, 4, 3, 2), torch.randn(1, 2, 3, 2), torch.randn(1, 4, 3, 2)
    stage, maps = head_with(attention, masking, scores, edges, points)
    assert stage.gives == PARTS[attention]
    lies_on = {0: [0], 1: [0, 1], 2: [1], 3: []}

    def sigmoid(value):
        return 1 / (1 + math.exp(-value))

    for k in range(4):
        values = scores[0, k].flatten()
        mean = values.mean().item()
        deviation = math.sqrt(((values - mean) ** 2).mean().item() + 1e-5)
        for y in range(3):
            for x in range(2):
                mask = 1.0
                if attention in ("point", "point_edge"):
                    mask *= sigmoid(points[0, k, y, x].item())
                if attention in ("edge", "point_edge"):
                    mask *= max([sigmoid(edges[0, e, y, x].item()) for e in lies_on[k]], default=1.0)
                score = scores[0, k, y, x].item()
                if attention == "none":
                    expected = score
                elif masking == "product":
                    expected = max((score - mean) / deviation, 0.0) * mask
                else:
                    expected = score + math.log(mask)
                assert stage.heatmaps[0, k, y, x].item() == pytest.approx(expected, abs=1e-5)
    if stage.edges is not None:
        torch.testing.assert_close(stage.edges, edges.sigmoid())
    if stage.point_maps is not None:
        torch.testing.assert_close(stage.point_maps, points.sigmoid())
    assert [m.shape[1] for m in maps] == [4] + [2] * ("edge" in attention) + [4] * ("point" in attention)


def test_log_masking_is_the_renormalised_product_of_probabilities():
    torch.manual_seed(1)
    scores, edges, points = torch.randn(1, 4, 5, 5), torch.randn(1, 2, 5, 5), torch.randn(1, 4, 5, 5)
    stage, _ = head_with("point_edge", "log", scores, edges, points)
    mask = stage.point_maps * edge_mask(stage.edges, edges_of_landmarks(4, CURVES))
    product = scores.flatten(2).softmax(-1) * mask.flatten(2)
    torch.testing.assert_close(stage.heatmaps.flatten(2).softmax(-1), product / product.sum(-1, keepdim=True))


def test_log_masking_is_finite_where_the_mask_underflows():
    far = torch.full((1, 2, 4, 4), -500.0)
    stage, _ = head_with("point_edge", "log", torch.zeros(1, 4, 4, 4), far, torch.full((1, 4, 4, 4), -500.0))
    assert stage.edges.eq(0).all()
    assert stage.heatmaps.isfinite().all()


@pytest.mark.parametrize("attention", PARTS)
@pytest.mark.parametrize("masking", ["product", "log"])
def test_every_parameter_gets_a_gradient_from_the_heatmaps_alone(attention, masking):
    torch.manual_seed(0)
    head = AttentionHead(6, 4, attention, CURVES, masking)
    assert head.gives == PARTS[attention]
    stage, _ = head(torch.randn(2, 6, 8, 8))
    (stage.heatmaps * torch.randn(2, 4, 8, 8)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_a_far_edge_darkens_the_heatmap_and_a_near_one_does_not():
    scores = F.pad(torch.ones(1, 4, 1, 1), (3, 4, 3, 4))
    edges = torch.full((1, 2, 8, 8), 20.0)
    edges[:, 0] = -20.0
    stage, _ = head_with("edge", "product", scores, edges, torch.zeros(1, 4, 8, 8))
    peaks = stage.heatmaps.amax((2, 3))[0]
    assert peaks[0] < 1e-6 * peaks[1]
    torch.testing.assert_close(peaks[1], peaks[3])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attention": "edge"}, "no curves"),
        ({"attention": "all"}, "choose from none, point"),
        ({"masking": "sum"}, "choose from product, log"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        AttentionHead(4, 4, **settings)
