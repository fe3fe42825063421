"""Averaging over the mirror image: what a mirrored answer is, worked out by hand."""

import numpy as np
import torch
from torch import nn

from pipeline.inference.flip import averaged_over_flip
from pipeline.methods.base import Prediction


class Layout:
    flip_permutation = np.array([1, 0, 2])


class Description:
    layout = Layout


class Reads(nn.Module):
    """Finds three bright pixels by their values 1, 2, 3: a left eye, a right eye, a nose; it does not know mirror images."""

    description = Description

    def forward(self, images_B3HW):
        rows = []
        for value in (1.0, 2.0, 3.0):
            _, y, x = (images_B3HW[:, 0] == value).nonzero().unbind(-1)
            rows.append(torch.stack([x, y], dim=-1).float())
        covariance = torch.tensor([[4.0, 1.0], [1.0, 2.0]]).expand(len(images_B3HW), 3, 2, 2)
        return Prediction(torch.stack(rows, dim=1), covariance)


def test_mirrored_answers_are_mapped_back_and_averaged():
    image = torch.zeros(1, 3, 8, 8)
    image[0, 0, 2, 1], image[0, 0, 2, 6], image[0, 0, 5, 3] = 1.0, 2.0, 3.0
    points, covariance = averaged_over_flip(Reads(), image)
    # Plain: left eye (1, 2), right eye (6, 2). In the mirror image it calls (6, 2) the left eye still; mapped back and renamed
    # that is the right eye at (1, 2): the two answers average to the middle. The nose, (3, 5), is mapped onto itself.
    torch.testing.assert_close(points, torch.tensor([[[3.5, 2.0], [3.5, 2.0], [3.0, 5.0]]]))
    # xx and yy as they are, xy and its mirror image cancel; half the distance, 2.5 px, squared, is added along x.
    torch.testing.assert_close(covariance[0, 2], torch.tensor([[4.0, 0.0], [0.0, 2.0]]))
    torch.testing.assert_close(covariance[0, 0], torch.tensor([[4.0 + 6.25, 0.0], [0.0, 2.0]]))
