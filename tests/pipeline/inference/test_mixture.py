"""The mixture's moments are those of a sample drawn from it."""

import numpy as np
import torch

from pipeline.inference.mixture import mixture


def test_moments_are_those_of_a_drawn_sample():
    rng = np.random.default_rng(0)
    means = [np.array([0.0, 1.0]), np.array([4.0, -1.0]), np.array([2.0, 3.0])]
    factors = [rng.normal(size=(2, 2)) for _ in means]
    draws = np.concatenate(
        [mean + rng.normal(size=(300_000, 2)) @ factor.T for mean, factor in zip(means, factors, strict=True)]
    )
    points, covariance = mixture(
        [torch.tensor(mean)[None, None] for mean in means],
        [torch.tensor(factor @ factor.T)[None, None] for factor in factors],
    )
    np.testing.assert_allclose(points[0, 0], draws.mean(0), atol=0.02)
    np.testing.assert_allclose(covariance[0, 0], np.cov(draws.T), atol=0.05)


def test_one_answer_is_itself_and_an_answer_without_covariance_leaves_none():
    points, covariance = torch.rand(1, 5, 2), torch.eye(2).expand(1, 5, 2, 2)
    same, kept = mixture([points], [covariance])
    assert same is points
    assert kept is covariance
    mean, gone = mixture([points, points + 2], [covariance, None])
    torch.testing.assert_close(mean, points + 1)
    assert gone is None
