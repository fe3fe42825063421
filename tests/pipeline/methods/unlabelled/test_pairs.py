"""Pairs: heatmaps at one height, images at their size, and both changed as one."""

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.heatmaps.draw import laplace_heatmaps
from pipeline.markup import Markup, load_markup
from pipeline.methods.unlabelled.pairs import PairAugmentation, blank, pair, scaled

MARKUP, K, SIDE = load_markup("mtfl5"), 5, 32


def heatmaps(batch=3):
    points = torch.rand(batch, K, 2, generator=torch.Generator().manual_seed(1)) * 20 + 6
    return laplace_heatmaps(points, (SIDE, SIDE))


def test_unit_peak_is_a_peak_of_one_and_the_same_shape():
    density = heatmaps()
    assert density.amax() < 0.3
    unit = scaled(density, "unit_peak")
    torch.testing.assert_close(unit.amax((-2, -1)), torch.ones(3, K))
    torch.testing.assert_close(unit / unit.sum((-2, -1), keepdim=True), density)
    assert scaled(density, "density") is density
    assert not scaled(torch.zeros(1, K, 4, 4), "unit_peak").any()


def test_blank_empties_unknown_landmarks_of_every_image():
    mask = torch.tensor([[True, False, True, True, True], [True] * 5])
    shown = blank(torch.ones(5, K, 2, 2), mask).amax((-2, -1)).bool()
    assert torch.equal(shown, mask[torch.tensor([0, 1, 0, 1, 0])])


def test_a_pair_is_the_image_at_the_heatmaps_size_on_them():
    image, maps = torch.rand(2, 3, 64, 64), torch.rand(2, K, 32, 32)
    stacked = pair(image, maps)
    assert stacked.shape == (2, 3 + K, 32, 32)
    assert torch.equal(stacked[:, 3:], maps)
    torch.testing.assert_close(stacked[:, :3].mean(), 2 * image.mean() - 1, atol=0.02, rtol=0)
    assert torch.equal(pair(image, torch.zeros(2, K, 64, 64))[:, :3], image * 2 - 1)


def test_without_ranges_nothing_changes():
    pairs = torch.rand(2, 3 + K, SIDE, SIDE)
    assert PairAugmentation(MARKUP)(pairs) is pairs
    unknown = Markup("hand", K, ())  # only what mirrors asks which landmarks change sides
    assert PairAugmentation(unknown)(pairs) is pairs
    with pytest.raises(ConfigError, match="'hand' has no 'flip_pairs'"):
        PairAugmentation(unknown, flip=0.5)


def test_mirroring_renames_landmarks():
    pairs = torch.rand(2, 3 + K, SIDE, SIDE)
    mirrored = PairAugmentation(MARKUP, flip=1.0)(pairs)
    assert torch.equal(mirrored[:, :3], pairs[:, :3].flip(-1))
    # mtfl5: left eye, right eye, nose, left mouth, right mouth.
    assert torch.equal(mirrored[:, 3:], pairs[:, [4, 3, 5, 7, 6]].flip(-1))


def test_a_shift_moves_image_and_heatmaps_as_one_and_differs_between_pairs():
    torch.manual_seed(0)
    # Each pixel holds its own place, the same in all channels.
    place = torch.arange(1.0, SIDE * SIDE + 1).view(1, 1, SIDE, SIDE).expand(16, 3 + K, SIDE, SIDE)
    moved = PairAugmentation(MARKUP, translation=0.25)(place)
    shifts = set()
    for one in moved:
        assert (one == one[:1]).all()
        known = one[0] > 0
        rows, columns = known.nonzero(as_tuple=True)
        source = one[0][known].long() - 1
        dy, dx = (source // SIDE - rows).unique(), (source % SIDE - columns).unique()
        assert len(dy) == len(dx) == 1
        assert max(abs(int(dy)), abs(int(dx))) <= 8
        assert known.sum() == (SIDE - abs(int(dy))) * (SIDE - abs(int(dx)))
        shifts.add((int(dy), int(dx)))
    assert len(shifts) > 8


def test_a_cut_hides_a_square_of_all_channels():
    torch.manual_seed(0)
    cut = PairAugmentation(MARKUP, cutout=0.5)(torch.ones(64, 3 + K, SIDE, SIDE))
    assert (cut == cut[:, :1]).all()
    hidden = (cut[:, 0] == 0).sum((-2, -1))
    assert hidden.max() == 16 * 16
    assert hidden.min() >= 7 * 7  # a quarter, where its centre lies in a corner


def test_gradients_pass():
    pairs = torch.rand(2, 3 + K, 8, 8, dtype=torch.float64, requires_grad=True)
    augment = PairAugmentation(MARKUP, translation=0.25, cutout=0.25, flip=0.5)

    def changed(x):
        torch.manual_seed(3)
        return augment(x)

    assert torch.autograd.gradcheck(changed, pairs, fast_mode=True)


@pytest.mark.parametrize("bad", [{"translation": 0.6}, {"cutout": -0.1}, {"flip": 1.5}])
def test_values_that_cannot_work(bad):
    with pytest.raises(ConfigError, match=f"pair_augmentation.{next(iter(bad))}"):
        PairAugmentation(MARKUP, **bad)
