"""The images of a report: same faces for every run, with words that say what they show."""

from __future__ import annotations

import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation.plots import LIGHT
from pipeline.evaluation.protocol import evaluate, face_nme
from pipeline.evaluation.report_images import faces, group_charts, jpeg, mean_shape, training_charts
from pipeline.evaluation.report_input import RunReport


def decoded(uri: str) -> Image.Image:
    kind, _, content = uri.partition(";base64,")
    assert kind == "data:image/jpeg"
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.fixture
def make_run(tiny, predict, protocol):
    def build(name, **options):
        predictions = predict(tiny, **options)
        return RunReport(name, evaluate(predictions, tiny, protocol, run=name), predictions, markup=tiny)

    return build


def errors(runs):
    return {run.name: face_nme(run.predictions, run.layout, "ocular") for run in runs}


def test_each_runs_worst_face_is_shown_for_every_run(make_run):
    runs = [make_run("a", noise=1.0), make_run("b", noise=3.0, seed=5)]
    nme = errors(runs)
    shown = {face["key"]: face for face in faces(runs, nme)}
    for run in runs:
        worst = int(np.argmax(nme[run.name]))
        face = shown[str(run.predictions.keys[worst])]
        assert f"worst of {run.name}" in face["why"]
        assert [image["run"] for image in face["images"]] == ["a", "b"]
        for image, other in zip(face["images"], runs, strict=True):
            assert image["nme"] == f"{100 * nme[other.name][worst]:.2f}"
            assert image["nme"] in image["alt"]
            assert decoded(image["data"]).size == (340, 340)


def test_runs_in_another_order_of_faces_are_matched_by_key(make_run):
    a, b = make_run("a"), make_run("b")
    order = np.arange(12)[::-1]
    p = b.predictions
    reversed_ = type(p)(
        **{
            name: getattr(p, name)[order]
            for name in ("keys", "points_NK2", "target_NK2", "mask_NK", "scale_N", "images_NSS3", "crops_N3")
        }
    )
    b = RunReport("b", b.evaluation, reversed_, markup=b.markup)
    for face in faces([a, b], errors([a, b])):
        first, second = face["images"]
        assert first["nme"] == second["nme"]
        assert first["data"] == second["data"]


def test_without_images_there_are_no_faces(make_run):
    run = make_run("a", images=False)
    assert faces([run], errors([run])) == []
    mixed = [run, make_run("b")]
    assert all(len(face["images"]) == 1 for face in faces(mixed, errors(mixed)))


def drawn_colours(chart) -> set[str]:
    svg = base64.b64decode(chart["light"].partition(";base64,")[2]).decode()
    return {colour for colour in LIGHT.runs if colour in svg}


def test_a_run_has_one_colour_in_every_chart(make_run):
    # The second of two runs, alone under its protocol and alone in having training curves.
    first, second = make_run("a"), make_run("b", seed=1)
    charts = group_charts([second], errors([second]), {"a": 0, "b": 1})
    coloured = [chart for chart in charts if chart["title"] != "Error on the face"]
    assert [drawn_colours(chart) for chart in coloured] == [{LIGHT.runs[1]}] * 4
    curves = {"loss": ([0.0, 1.0], [2.0, 1.0])}
    (chart,) = training_charts([first, dataclasses.replace(second, curves=curves)])
    assert drawn_colours(chart) == {LIGHT.runs[1]}
    assert training_charts([first, second]) == []


def test_mean_shape_is_free_of_place_and_size(make_run, tiny_face):
    predictions = make_run("a").predictions
    target = np.stack(
        [tiny_face * scale + shift for scale, shift in zip(range(1, 13), range(0, 1200, 100), strict=True)]
    )
    mask = np.ones((12, 6), dtype=bool)
    mask[:, 4] = False  # a landmark never seen, inside the box
    moved = type(predictions)(predictions.keys, target, target, mask, predictions.scale_N)
    shape = mean_shape(moved)
    assert np.isnan(shape[4]).all()
    assert np.delete(shape, 4, axis=0) == pytest.approx(np.delete(tiny_face / 100 - 0.5, 4, axis=0))


def test_jpeg_keeps_the_image():
    assert decoded(jpeg(Image.new("RGBA", (30, 20), (200, 10, 10, 255)))).getpixel((5, 5)) == pytest.approx(
        (200, 10, 10), abs=6
    )
