"""The opening of a report: who differs from whom, in words that claim no more than the faces show."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.metrics.difference import Difference
from pipeline.evaluation.protocol import evaluate, face_nme
from pipeline.evaluation.report import RunReport, render_report
from pipeline.evaluation.report_difference import LARGEST, SHOWN, differences, sentence


@pytest.fixture(scope="module")
def make_run(tiny, predict, protocol):
    def build(name, noise, faces=40, **options):
        predictions = predict(tiny, noise=noise, seed=int(10 * noise), faces=faces, **options)
        return RunReport(name, evaluate(predictions, tiny, protocol, run=name), predictions, tiny)

    return build


@pytest.fixture
def nme_of(tiny, protocol):
    return lambda *runs: {r.name: face_nme(r.predictions, tiny, protocol.normalisation) for r in runs}


def test_a_gain_is_told_with_its_interval_and_faces_across_its_range(make_run, nme_of):
    worse, better = make_run("worse", 3.0), make_run("better", 1.0)
    nme = nme_of(worse, better)
    (one,) = differences([worse, better], nme)
    assert (one["run"], one["baseline"], one["shown"]) == ("better", "worse", True)
    gain = 100 * (nme["worse"] - nme["better"])
    assert f"{gain.mean():.2f} points less" in one["text"]
    assert "95 % interval over the faces" in one["text"]
    assert len(one["faces"]) == len(SHOWN)
    shown = [float(face["why"].split(": ")[1].split()[0].replace("−", "-")) for face in one["faces"]]
    assert shown == sorted(shown, reverse=True)
    assert shown[2] == pytest.approx(np.sort(gain)[20], abs=0.06)
    assert all([image["run"] for image in face["images"]] == ["worse", "better"] for face in one["faces"])


def test_the_faces_that_differ_most_are_shown_either_way(make_run, nme_of):
    worse, better = make_run("worse", 2.0), make_run("better", 1.8)
    nme = nme_of(worse, better)
    (one,) = differences([worse, better], nme)
    gain = 100 * (nme["worse"] - nme["better"])
    assert len(one["largest"]) == LARGEST
    shown = [float(face["why"].split()[0].replace("−", "-")) for face in one["largest"]]
    expected = gain[np.argsort(-np.abs(gain))][:LARGEST]
    np.testing.assert_allclose(shown, expected, atol=0.051)
    assert min(shown) < 0 < max(shown)
    assert [image["run"] for image in one["largest"][0]["images"]] == ["worse", "better"]
    first = {image["run"]: float(image["nme"]) for image in one["largest"][0]["images"]}
    assert first["worse"] - first["better"] == pytest.approx(expected[0], abs=0.02)
    assert (
        differences([worse, make_run("worse2", 2.0)], nme_of(worse, make_run("worse2", 2.0)))[0]["largest"]
        == []
    )


def test_every_further_run_is_compared_with_the_first(make_run, nme_of):
    runs = [make_run(name, noise) for name, noise in (("a", 3.0), ("b", 2.0), ("c", 1.0))]
    assert [(d["run"], d["baseline"]) for d in differences(runs, nme_of(*runs))] == [("b", "a"), ("c", "a")]
    assert differences(runs[:1], nme_of(*runs)) == []


def test_words():
    told = sentence(Difference(500, 16.1, 13.0, 3.1, (2.6, 3.6), 81.0))
    assert told == (
        "13.00 % NME instead of 16.10 %: 3.10 points less (19.3 %), 95 % interval over the faces 2.60 to 3.60. "
        "Lower on 81 % of 500 faces."
    )
    assert "1.00 points more (10.0 %), 95 % interval over the faces 0.50 to 1.50." in sentence(
        Difference(9, 10.0, 11.0, -1.0, (-1.5, -0.5), 20.0)
    )
    assert "−0.10 to 0.30 less: no difference shown" in sentence(
        Difference(9, 10.0, 9.9, 0.1, (-0.1, 0.3), 50.0)
    )


def test_it_stands_before_the_numbers(make_run):
    page = render_report([make_run("a", 2.0), make_run("b", 2.1)])
    assert page.index("Side by side") < page.index("<h2>Numbers</h2>")
