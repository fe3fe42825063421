"""What a batch may be."""

from __future__ import annotations

import pytest
import torch

from pipeline.augment.batch import FaceBatch

IMAGES, POINTS, FLAGS = torch.rand(2, 3, 8, 8), torch.rand(2, 5, 2), torch.ones(2, 5, dtype=torch.bool)


def test_with_and_without_landmarks():
    assert FaceBatch(IMAGES).side == 8
    assert FaceBatch(IMAGES, POINTS, FLAGS, FLAGS).points_BK2 is POINTS


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((torch.rand(2, 1, 8, 8),), "images"),
        ((torch.rand(2, 3, 8, 9),), "images"),
        ((IMAGES, POINTS), "together"),
        ((IMAGES, None, FLAGS, FLAGS), "together"),
        ((IMAGES, POINTS[:1], FLAGS, FLAGS), "points"),
        ((IMAGES, POINTS, FLAGS[:, :4], FLAGS), "mask"),
        ((IMAGES, POINTS, FLAGS, FLAGS.float()), "visible"),
    ],
)
def test_what_does_not_belong_together_is_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        FaceBatch(*parts)
