"""Counts against NumPy's histogram, what an epoch takes against a real order, and the table by eye."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.faces.pose import bins_of
from pipeline.shards.order import Balance, order_for
from pipeline.shards.pose_histogram import pose_histogram


@given(st.lists(st.integers(-400, 400), min_size=2, max_size=80, unique=True), st.integers(1, 12))
def test_counts_are_numpys(values, bins):
    coordinates = np.array(values) / 128  # exact in binary
    histogram = pose_histogram(coordinates, bins)
    counts, edges = np.histogram(coordinates, bins)
    np.testing.assert_allclose(histogram.edges, edges, atol=1e-12)
    # A face on an edge may fall to either side of it by rounding, here or there.
    on_an_edge = sum(int(np.isclose(coordinates, edge, atol=1e-9).sum()) for edge in edges[1:-1])
    assert np.abs(histogram.faces() - counts).sum() <= 2 * on_an_edge
    assert histogram.faces().sum() == len(values)


@pytest.mark.parametrize("kind", ["undersample", "replicate"])
@pytest.mark.parametrize("per_bin", [None, 5])
def test_an_epoch_takes_what_the_histogram_says(kind, per_bin):
    coordinates = np.random.default_rng(0).normal(size=60)
    bin_n = bins_of(coordinates, 7)
    order = order_for([20, 20, 20], streams=2, seed=0, buffer=4, balance=Balance(bin_n, kind, per_bin))
    taken = Counter(int(bin_n[o]) for s in range(2) for o in order.stream_order(1, s))
    assert [taken[b] for b in range(7)] == pose_histogram(coordinates, 7).faces(kind, per_bin).tolist()


def test_the_table():
    coordinates = np.array([-2.0, -1.9, -1.8, 0.0, 0.1, np.nan, 2.0, 1.9, 1.8, 1.7])
    assert pose_histogram(coordinates, 4).lines() == [
        "pose from    -2.0 -1.0  0.0  1.0",
        "faces           3    0    3    4  = 10",
        "undersample     3    0    3    3  = 9",
        "replicate       4    0    4    4  = 12",
        "1 face of unknown pose, in the middle",
    ]


def test_faces_all_alike_are_in_one_bin():
    assert pose_histogram(np.zeros(5), 3).faces().tolist() == [5, 0, 0]


@pytest.mark.parametrize(("faces", "bins"), [(0, 9), (3, 0)])
def test_nothing_to_count(faces, bins):
    with pytest.raises(ConfigError, match=f"{faces} faces in {bins} bins"):
        pose_histogram(np.zeros(faces), bins)
