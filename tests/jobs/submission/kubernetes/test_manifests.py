"""Names of objects; what is rendered of them is checked in tests/k8s/test_submitted.py."""

from __future__ import annotations

import re

import pytest

from jobs.submission.kubernetes.manifests import object_name

VALID = re.compile(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?")


@pytest.mark.parametrize(
    "identity",
    [
        "train-laplace_300w",
        "Train-A",
        "1st",
        "9",
        "a" * 100,
        "train-" + "b" * 42,
        "a..b",
        "x-",
        "evaluate-A-" + "1_" * 30,
    ],
)
def test_every_id_becomes_a_name_that_kubernetes_takes(identity):
    assert VALID.fullmatch(object_name(identity))


def test_a_valid_id_is_its_own_name():
    for identity in ("train-laplace-300w", "t", "a" * 47):
        assert object_name(identity) == identity


def test_ids_that_look_alike_stay_apart():
    ids = ["train-a_b", "train-a.b", "train-a-b", "Train-a-b", "train-" + "a" * 60, "train-" + "a" * 61]
    assert len({object_name(identity) for identity in ids}) == len(ids)
