import pytest
import torch

from pipeline.models.dropout import keep_mask


@pytest.mark.parametrize("probability", [0.001, 0.2, 0.5, 0.97])
def test_share_dropped_and_expectation(probability):
    torch.manual_seed(0)
    mask = keep_mask(torch.empty(1_000_000, dtype=torch.float64), probability)
    assert len(mask.unique()) == 2
    sigma = (probability * (1 - probability) / mask.numel()) ** 0.5
    assert abs((mask == 0).double().mean().item() - probability) < 5 * sigma + 2**-17
    assert abs(mask.mean().item() - 1) < 5 * sigma / (1 - probability)


def test_the_kept_factor_is_exact_for_the_rounded_probability():
    mask = keep_mask(torch.empty(100_000, dtype=torch.float64), 0.2)
    assert mask.max().item() == pytest.approx(65536 / (65536 - 13107), rel=1e-7)


def test_no_probability_drops_nothing():
    assert torch.equal(keep_mask(torch.empty(65536 * 8), 0.0), torch.ones(65536 * 8))


def test_neighbours_are_independent():
    """The four elements that one random word decides, and those of the next, must not be correlated."""
    torch.manual_seed(0)
    dropped = (keep_mask(torch.empty(400_000, dtype=torch.float64), 0.5) == 0).double() - 0.5
    for lag in range(1, 9):
        correlation = (dropped[lag:] * dropped[:-lag]).mean() / 0.25
        assert abs(correlation.item()) < 5 / 400_000**0.5, lag


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
def test_sizes_that_no_word_divides(count):
    assert keep_mask(torch.empty(count), 0.2).shape == (count,)


def test_follows_layout_and_type():
    like = torch.empty(2, 5, 4, 6, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    mask = keep_mask(like, 0.2)
    assert mask.shape == like.shape
    assert mask.stride() == like.stride()
    assert mask.dtype == torch.bfloat16
    assert set(mask.unique().tolist()) <= {0.0, 1.25}
