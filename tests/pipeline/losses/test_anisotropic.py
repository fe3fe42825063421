import math

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.losses.anisotropic import LOSS, Anisotropic, mahalanobis, weight_matrices
from pipeline.losses.curves import curve_neighbours
from pipeline.markup import load_markup


def test_equals_the_inverse_of_the_covariance_of_eq_3():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 6)
    t = np.stack([np.cos(angle), np.sin(angle)], -1)
    along = t[:, :, None] * t[:, None, :]
    weights = np.linalg.inv(25.0 * along + 9.0 * (np.eye(2) - along))
    ours = weight_matrices(torch.tensor(t)[None])[0].numpy()
    np.testing.assert_allclose(ours, weights, rtol=1e-10)
    x, z = rng.normal(size=(2, 6, 2))
    reference = [(a - b) @ w @ (a - b) for a, b, w in zip(x, z, weights, strict=True)]
    np.testing.assert_allclose(
        mahalanobis(torch.tensor(x)[None], torch.tensor(z)[None], torch.tensor(ours)[None])[0],
        reference,
        rtol=1e-10,
    )


def test_sliding_along_the_curve_costs_a_ninth_over_a_twenty_fifth():
    """A straight jaw: collinear neighbours, where ADNet's eq. 5 divides by zero, are no special case."""
    markup = load_markup("ibug68")
    target = torch.zeros(1, 68, 2, dtype=torch.float64)
    target[0, :, 0] = 10.0 * torch.arange(68)
    loss = Anisotropic.from_markup(markup)
    along = loss.per_landmark(target + torch.tensor([2.0, 0.0]), target)[0]
    across = loss.per_landmark(target + torch.tensor([0.0, 2.0]), target)[0]
    for jaw in (0, 8, 16):
        assert along[jaw].item() == pytest.approx(4 / 25)
        assert across[jaw].item() == pytest.approx(4 / 9)
    for corner in (36, 54):
        assert along[corner].item() == across[corner].item() == pytest.approx(4.0)


def test_isotropic_variance_and_own_corners():
    loss = Anisotropic(torch.tensor([[-1, 1], [0, -1], [-1, -1]]), corners=(1,), isotropic=9.0)
    weights = loss.weights(torch.tensor([[[0.0, 0.0], [5.0, 0.0], [7.0, 7.0]]]))[0]
    torch.testing.assert_close(weights[0], torch.diag(torch.tensor([1 / 25, 1 / 9])))
    torch.testing.assert_close(weights[1:], torch.eye(2).expand(2, 2, 2) / 9.0)


def test_settings_that_cannot_work_are_refused():
    neighbours = curve_neighbours(load_markup("ibug68"))
    for name in ("a", "b", "isotropic"):
        with pytest.raises(ConfigError, match=f"Anisotropic: {name}"):
            Anisotropic(neighbours, **{name: math.inf})
    with pytest.raises(ConfigError, match="corners"):
        Anisotropic(neighbours, corners=(68,))
    assert LOSS is Anisotropic
