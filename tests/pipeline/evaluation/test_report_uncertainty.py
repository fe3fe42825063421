"""The report's sections on uncertainty and direction: there where there is something to tell, and nowhere else."""

from __future__ import annotations

import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation.plots import LIGHT
from pipeline.evaluation.protocol import evaluate, face_nme
from pipeline.evaluation.report import ReferenceRow, render_report
from pipeline.evaluation.report_input import RunReport
from pipeline.evaluation.report_uncertainty import direction, error_moments, uncertainty
from pipeline.markup import Markup


@pytest.fixture
def make_run(tiny, predict, protocol):
    def build(name, *, change=None, **options):
        predictions = predict(tiny, **{"covariance": 1.0, **options})
        if change:
            predictions = dataclasses.replace(predictions, **change)
        return RunReport(name, evaluate(predictions, tiny, protocol, run=name), predictions, markup=tiny)

    return build


def decoded(uri: str) -> np.ndarray:
    kind, _, content = uri.partition(";base64,")
    assert kind == "data:image/jpeg"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def drawn_colours(chart) -> set[str]:
    svg = base64.b64decode(chart["light"].partition(";base64,")[2]).decode()
    return {colour for colour in LIGHT.runs if colour in svg}


def test_the_report_contains_the_sections(make_run):
    rows = [ReferenceRow("ADNet, table 8", {"normal": 1.54, "tangent": 2.28, "bias": 48.05}, "full set")]
    runs = [make_run("a"), make_run("b", seed=1, covariance=4.0), make_run("plain", seed=2, covariance=None)]
    html = render_report(runs, reference_rows=rows)
    for text in (
        '<section id="uncertainty-1">',
        'href="#uncertainty-1"',
        '<section id="direction-1">',
        "ADNet, table 8",
        "48.05",
        "1σ ellipse",
        "least sure of a",
        "surest of b",
        "<dt>r landmarks</dt>",
    ):
        assert text in html
    section = html[html.index('id="uncertainty-1"') : html.index('id="selection-1"')]
    for run in runs[:2]:
        u = run.evaluation.uncertainty
        for value in (u.by_landmark.pearson, u.coverage["50"], u.coverage["90"], u.nll):
            assert f"{value:.2f}" in section
    assert "plain" not in section
    assert render_report(runs, reference_rows=rows) == html


def test_runs_without_covariances_have_no_section(make_run):
    run = make_run("a", covariance=None)
    html = render_report([run])
    assert "uncertainty-1" not in html
    assert "<dt>r landmarks</dt>" not in html
    assert "direction-1" in html
    assert uncertainty([run], [], {"a": 0}) is None


def test_a_markup_without_curves_has_no_directions(make_run, protocol):
    dots = Markup("dots", 6, (), (), ocular=(0, 3))
    predictions = make_run("a").predictions
    run = RunReport("a", evaluate(predictions, dots, protocol, run="a"), predictions, markup=dots)
    assert direction([run], [], {"a": 0}) is None
    html = render_report([run])
    assert "direction-1" not in html
    assert "uncertainty-1" in html


def test_a_run_keeps_its_colour(make_run):
    run, places = make_run("b"), {"a": 0, "b": 1}
    for section in (uncertainty([run], [], places), direction([run], [], places)):
        assert section is not None
        for chart in section["charts"]:
            if chart["title"].startswith("Spread"):
                continue  # its dots are pixels
            assert drawn_colours(chart) == {LIGHT.runs[1]}


def test_faces_are_ranked_by_spread(make_run):
    covariance = np.tile(np.eye(2, dtype=np.float32), (12, 6, 1, 1))
    covariance[4] *= 100
    covariance[7] *= 0.01
    grey = np.full((12, 80, 80, 3), 90, dtype=np.uint8)
    run = make_run("a", change={"covariance_NK22": covariance, "images_NSS3": grey})
    section = uncertainty([run], [], {"a": 0})
    assert section is not None
    shown = {face["key"]: face for face in section["faces"]}
    assert "least sure" in shown["face-004"]["why"]
    assert "surest" in shown["face-007"]["why"]
    nme = face_nme(run.predictions, run.layout, "ocular")
    for key, face in shown.items():
        (image,) = face["images"]
        assert image["nme"] == f"{100 * nme[int(key[-3:])]:.2f}"
        assert image["spread"] in image["alt"]

    # Half axes of 10 px reach further about the landmarks than those of 0.1 px.
    assert reach(shown["face-004"]) > reach(shown["face-007"]) + 5


def reach(face) -> float:
    image = decoded(face["images"][0]["data"]).astype(int)
    assert image.shape == (420, 420, 3)
    hit = (np.abs(image - 90).max(axis=-1) > 50).nonzero()  # whatever is drawn on the grey
    return float(np.hypot(hit[0] - 210, hit[1] - 210).max())


def test_without_images_the_numbers_remain(make_run):
    section = uncertainty([make_run("a", images=False)], [], {"a": 0})
    assert section is not None
    assert section["faces"] == []
    assert len(section["charts"]) == 3
    assert 'id="uncertainty-1"' in render_report([make_run("a", images=False)])


def test_certainty_is_warned_of(make_run):
    run = make_run("a", change={"covariance_NK22": np.zeros((12, 6, 2, 2), dtype=np.float32)})
    section = uncertainty([run], [], {"a": 0})
    assert section is not None
    assert section["warnings"] == [
        "a: 72 of 72 covariances have no inverse; they have no likelihood, and hold no landmark unless it is met exactly."
    ]


def test_moments_of_the_errors_by_hand(tiny_face, make_run):
    p = make_run("a").predictions
    # Box 100 px wide and high; the second face at twice the size.
    target = np.stack([tiny_face, 2 * tiny_face])
    error = np.array([[3.0, 1.0], [2.0, -4.0]])
    mask = np.ones((2, 6), dtype=bool)
    mask[:, 1], mask[1, 2] = False, False
    small = type(p)(np.array(["a", "b"]), target + error[:, None], target, mask, np.ones(2))
    moments = error_moments(small)
    first, second = (np.outer(e, e) for e in (error[0] / 100, error[1] / 200))
    assert moments[0] == pytest.approx((first + second) / 2)
    assert moments[2] == pytest.approx(first)
    assert np.isnan(moments[1]).all()
