"""A run is called the best only where the faces show it, column by column."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from pipeline.evaluation import headline
from pipeline.evaluation.protocol import evaluate
from pipeline.evaluation.report import RunReport, render_report
from pipeline.evaluation.significance import aligned, per_face, rivals, undecided

COLUMNS = {column.key: column for column in headline.ALL_COLUMNS}
TESTED = {column.key for column in headline.COLUMNS} | {"normal", "tangent"}


@pytest.fixture(scope="module")
def make_run(tiny, predict, protocol):
    def build(name, noise, **options):
        predictions = predict(tiny, noise=noise, seed=int(10 * noise), faces=40, images=False, **options)
        return RunReport(name, evaluate(predictions, tiny, protocol, run=name), predictions, tiny)

    return build


def test_the_faces_of_a_column_have_its_value_as_their_mean(make_run):
    run = make_run("a", 7.5)  # an error at which every rate and area is between its bounds
    for key in TESTED:
        mean = 100 * np.nanmean(per_face(run, key))
        value = run.values[key]
        expected = 100 * value if key == "scatter" else value  # px stay px
        assert mean == pytest.approx(100 - expected if key.startswith("auc") else expected), key
        assert 0 < value < 100, key
    assert {key for key in COLUMNS if per_face(run, key) is None} == set(COLUMNS) - TESTED


def test_only_a_difference_beyond_chance_makes_a_best_run(make_run):
    near = [make_run("a", 2.0), make_run("b", 2.1), make_run("c", 8.0)]
    nme = [run.evaluation.headline.nme for run in near]
    assert rivals(near, COLUMNS["ocular"]) == ("b" if nme[0] < nme[1] else "a",)
    assert rivals([make_run("a", 3.0), make_run("b", 1.0)], COLUMNS["ocular"]) == ()
    assert rivals([make_run("a", 3.0), make_run("b", 1.0)], COLUMNS["auc10"]) == ()
    # No face of either is above 10 %: equal rates are no difference.
    assert rivals([make_run("a", 1.0), make_run("b", 1.1)], COLUMNS["fr10"]) == ("b",)


def test_what_has_no_test_has_no_best_run(make_run):
    runs = [make_run("a", 3.0, covariance=1.0), make_run("b", 1.0, covariance=1.0)]
    assert rivals(runs, COLUMNS["nll"]) is None
    assert rivals(runs, COLUMNS["steps"]) is None  # a property
    assert rivals(runs[:1], COLUMNS["ocular"]) is None  # nothing to compare
    name = runs[0].evaluation.protocol_name
    told = {key for protocol, key in undecided(runs) if protocol == name}
    assert not told & {"ocular", "normal", "scatter"}
    assert {"nll", "r", "aurc", "steps"} <= told


def test_runs_without_a_face_in_common_are_never_told_apart(make_run):
    one, other = make_run("a", 1.0), make_run("b", 3.0)
    keys = np.array([f"other-{i}" for i in range(40)])
    other = dataclasses.replace(other, predictions=dataclasses.replace(other.predictions, keys=keys))
    assert rivals([one, other], COLUMNS["ocular"]) == ("b",)


def test_faces_are_compared_with_themselves_whatever_their_order(make_run):
    one, other = make_run("a", 1.0), make_run("b", 3.0)
    turned = dataclasses.replace(other.predictions, keys=other.predictions.keys[::-1])
    keys, first, second = aligned(
        one, dataclasses.replace(other, predictions=turned), {"a": np.arange(40), "b": np.arange(40)[::-1]}
    )
    assert list(keys) == sorted(keys)
    np.testing.assert_array_equal(first, second)


def bold(page):
    return re.findall(r'class="best">([^<]+)<', page)


def test_a_page_praises_no_run_by_chance(make_run):
    page = render_report([make_run("a", 2.0), make_run("b", 2.1)])
    assert "Lowest NME" not in page
    assert "; not told apart from" in page
    near = [make_run(name, noise).evaluation.headline.nme for name, noise in (("a", 2.0), ("b", 2.1))]
    assert f"{min(near):.2f}" not in bold(page)
    far = render_report([make_run("a", 3.0), make_run("b", 1.0)])
    assert "Lowest NME ocular" in far
    assert f"{make_run('b', 1.0).evaluation.headline.nme:.2f}" in bold(far)
    many = render_report([make_run("a", 2.0), make_run("b", 2.1), make_run("c", 2.05)])
    assert "not told apart from 2 others" in many
