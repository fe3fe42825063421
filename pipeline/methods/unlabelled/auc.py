"""Area under the ROC curve of scores."""

from __future__ import annotations

from torch import Tensor


def auc(positive_N: Tensor, negative_M: Tensor) -> float:
    """Probability that a positive scores above a negative, ties counted half (the Mann–Whitney statistic over N·M).

    Args:
        positive_N: Scores of one kind. All pairs are compared: for hundreds, not for millions.
        negative_M: Scores of the other.

    Returns:
        0.5 where the scores tell nothing; NaN where a kind is empty.

    Example:
        >>> auc(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0]))
        0.875
    """
    above = positive_N[:, None] > negative_M
    level = positive_N[:, None] == negative_M
    return float((above.double() + level.double() / 2).mean())
