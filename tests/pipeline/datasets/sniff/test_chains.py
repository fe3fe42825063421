"""Skeletons as chains."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from pipeline.datasets.sniff.chains import chains
from pipeline.markup import Curve


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([], ()),
        ([(2, 1), (0, 1), (0, 1), (3, 3)], (Curve("line0", (0, 1, 2)),)),
        ([(0, 1), (1, 2), (2, 0)], (Curve("line0", (0, 1, 2), True),)),
        ([(0, 1), (1, 2), (1, 3)], (Curve("line0", (0, 1, 2)), Curve("line1", (1, 3)))),
        ([(4, 5), (0, 1)], (Curve("line0", (0, 1)), Curve("line1", (4, 5)))),
    ],
)
def test_chains(edges, expected):
    assert chains(edges) == expected


@pytest.mark.parametrize("seed", range(20))
def test_every_edge_is_in_one_chain(seed):
    rng = random.Random(seed)
    edges = {tuple(sorted(rng.sample(range(12), 2))) for _ in range(20)}
    walked = Counter(tuple(sorted(s)) for curve in chains(edges) for s in curve.segments)
    assert walked == Counter(edges)
