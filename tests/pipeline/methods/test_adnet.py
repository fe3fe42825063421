"""ADNet's three terms, each against the number written out."""

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.losses.adl import ADL
from pipeline.markup import load_markup
from pipeline.methods.adnet import ADNet
from pipeline.models.output import Output, Stage, Traits

MARKUP, SIDE, STRIDE = load_markup("ibug68"), 64, 4
K, E, CELLS = 68, len(MARKUP.curves), SIDE // STRIDE
ALL = Traits(gives=frozenset({"heatmaps", "edges", "point_maps"}), stride=STRIDE)


def stage(parts: set[str], seed: int = 0) -> Stage:
    generator = torch.Generator().manual_seed(seed)
    maps = {
        "heatmaps": torch.randn(2, K, CELLS, CELLS, generator=generator),
        "edges": torch.rand(2, E, CELLS, CELLS, generator=generator),
        "point_maps": torch.rand(2, K, CELLS, CELLS, generator=generator),
    }
    return Stage(**{name: maps[name].requires_grad_() for name in maps if name in parts})


def target() -> torch.Tensor:
    return torch.rand(2, K, 2, generator=torch.Generator().manual_seed(1)) * (SIDE - 1)


def known() -> torch.Tensor:
    return torch.ones(2, K, dtype=torch.bool)


def awing_by_hand(error: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Eq. 8 as it is printed: ω 14, θ 0.5, ε 1, α 2.1."""
    power = 2.1 - truth
    a = 14 * power * 0.5 ** (power - 1) / (1 + 0.5**power)
    c = 0.5 * a - 14 * torch.log(1 + 0.5**power)
    return torch.where(error < 0.5, 14 * torch.log(1 + error**power), a * error - c)


def points_by_hand() -> torch.Tensor:
    grid = torch.arange(CELLS, dtype=torch.float32)
    cells = (target() + 0.5) / STRIDE - 0.5
    squared = (grid - cells[..., 0, None]).square()[..., None, :] + (grid - cells[..., 1, None]).square()[
        ..., :, None
    ]
    return torch.exp(-squared / (2 * 1.5**2))


def make(**options) -> ADNet:
    return ADNet(ADL.from_markup(MARKUP), ALL, MARKUP, SIDE, **options)


def test_point_maps_are_learned_by_awing():
    output, truth = stage({"heatmaps", "point_maps"}), points_by_hand()
    expected = awing_by_hand((output.point_maps - truth).abs(), truth).mean()
    with_them = make(alpha=7.0).stage_loss(output, STRIDE, target(), known())
    without = make(alpha=0.0).stage_loss(output, STRIDE, target(), known())
    torch.testing.assert_close(with_them - without, 7.0 * expected, rtol=1e-4, atol=1e-4)


def test_edges_are_lines_of_one_cell_along_the_curves():
    output = stage({"heatmaps", "edges"})
    # An image whose edge maps are right everywhere costs next to nothing, one with a curve shifted does.
    from pipeline.heatmaps.edges import edge_maps

    cells = (target() + 0.5) / STRIDE - 0.5
    truth = edge_maps(cells, MARKUP.curves, (CELLS, CELLS)).edges_BEHW
    method = make(alpha=0.0, beta=1.0)
    right = method.edge_loss(truth, STRIDE, target(), known())
    wrong = method.edge_loss(truth.roll(3, -1), STRIDE, target(), known())
    assert right.abs() < 1e-5
    assert wrong > 0.05
    expected = awing_by_hand((output.edges - truth).abs(), truth).mean()
    torch.testing.assert_close(
        method.edge_loss(output.edges, STRIDE, target(), known()), expected, rtol=1e-4, atol=1e-5
    )


def test_a_curve_counts_only_when_all_its_landmarks_are_annotated():
    mask = known()
    jaw = MARKUP.curves[0]
    mask[:, jaw.indices[3]] = False
    output = stage({"heatmaps", "edges"})
    make().edge_loss(output.edges, STRIDE, target(), mask).backward()
    assert not output.edges.grad[:, 0].any()
    assert output.edges.grad[:, 1].any()


def test_a_face_that_weighs_three_times_as_much_counts_as_three_in_every_term():
    output = stage({"heatmaps", "edges", "point_maps"})
    method, weights = make(), known() * torch.tensor([[3.0], [1.0]])

    def alone(face: int) -> torch.Tensor:
        one = Stage(**{n: getattr(output, n)[face : face + 1] for n in ("heatmaps", "edges", "point_maps")})
        return method.stage_loss(one, STRIDE, target()[face : face + 1], known()[face : face + 1])

    together = method.stage_loss(output, STRIDE, target(), weights)
    torch.testing.assert_close(together, (3 * alone(0) + alone(1)) / 4, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("attention", [set(), {"edges"}, {"point_maps"}, {"edges", "point_maps"}])
def test_ablations_drop_the_terms_of_maps_that_are_not_there(attention):
    output = stage({"heatmaps"} | attention)
    total, _ = make().supervised(
        Output((output, stage({"heatmaps"} | attention, 3)), STRIDE), target(), known()
    )
    total.backward()
    assert total.isfinite()
    for name in {"heatmaps"} | attention:
        assert getattr(output, name).grad.any()


def test_the_unit_of_the_landmarks_is_a_choice_and_leaves_the_maps_alone():
    output = stage({"heatmaps", "edges", "point_maps"})

    def terms(unit: str) -> tuple[torch.Tensor, torch.Tensor]:
        alone = make(unit=unit, alpha=0.0, beta=0.0).stage_loss(output, STRIDE, target(), known())
        return alone, make(unit=unit).stage_loss(output, STRIDE, target(), known()) - alone

    (px, maps), (side, same_maps) = terms("px"), terms("side")
    torch.testing.assert_close(side, px / (SIDE / 2))
    torch.testing.assert_close(same_maps, maps, rtol=1e-4, atol=1e-4)
    with pytest.raises(ConfigError, match=r"method.unit is 'mm': choose from px, side"):
        make(unit="mm")


def test_all_landmarks_unknown_is_a_loss_of_zero():
    mask, output = torch.zeros(2, K, dtype=torch.bool), stage({"heatmaps", "edges", "point_maps"})
    total = make().stage_loss(output, STRIDE, target(), mask)
    total.backward()
    assert total.item() == 0.0
    for name in output.gives:
        assert not getattr(output, name).grad.any()


def test_needs_heatmaps_and_sensible_numbers():
    with pytest.raises(ConfigError, match="needs a generator of heatmaps"):
        ADNet(ADL.from_markup(MARKUP), Traits(gives=frozenset({"points"})), MARKUP, SIDE)
    for name in ("alpha", "beta", "sigma", "line_width"):
        with pytest.raises(ConfigError, match=f"method.{name} is -1"):
            make(**{name: -1.0})


def test_masked_heatmaps_are_read_by_their_own_mass():
    def decoder(*maps: str) -> str:
        traits = Traits(gives=frozenset({"heatmaps", *maps}), stride=STRIDE)
        return ADNet(ADL.from_markup(MARKUP), traits, MARKUP, SIDE).decoder.name

    assert decoder("edges", "point_maps") == decoder("point_maps") == "relu_mean"
    assert decoder() == "softargmax"
