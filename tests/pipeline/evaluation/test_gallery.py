"""Which faces are shown."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.gallery import choose_faces, common_keys

KEYS = np.array([f"f{i}" for i in range(7)])


def test_best_median_and_worst_of_each_run_once():
    nme = {"a": np.array([1, 2, 3, 4, 5, 6, 7.0]), "b": np.array([7, 6, 5, 4, 3, 2, 1.0])}
    chosen = {c.key: c.reasons for c in choose_faces(nme, KEYS, {"worst": 1, "median": 1, "best": 1})}
    assert chosen == {
        "f6": (("worst", "a"), ("best", "b")),
        "f0": (("worst", "b"), ("best", "a")),
        "f3": (("median", "a"), ("median", "b")),
    }


def test_order_is_worst_first_and_ties_do_not_depend_on_order():
    flat = {"a": np.zeros(7)}
    first = choose_faces(flat, KEYS)
    shuffle = np.array([3, 1, 6, 0, 2, 5, 4])
    assert [c.key for c in choose_faces(flat, KEYS[shuffle])] == [c.key for c in first]
    assert first[0].reasons[0] == ("worst", "a")


def test_undefined_faces_and_small_sets():
    nme = {"a": np.array([np.nan, 2, 3.0]), "b": np.array([1, np.nan, 3.0])}
    assert [c.key for c in choose_faces(nme, KEYS[:3])] == ["f2"]
    assert choose_faces({"a": np.array([np.nan])}, KEYS[:1]) == []


def test_common_keys():
    assert common_keys([np.array(["c", "a", "b"]), np.array(["b", "d", "c"])]).tolist() == ["b", "c"]
