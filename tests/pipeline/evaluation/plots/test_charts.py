"""Charts show the numbers they are given."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation.metrics.failure import auc
from pipeline.evaluation.plots import (
    DARK,
    LIGHT,
    ced_figure,
    curve_figure,
    histogram_figure,
    landmark_map_figure,
    render,
    training_figure,
)

RNG = np.random.default_rng(0)
NME = {"base": RNG.gamma(4, 0.01, 80), "_hidden $x$ <b>": RNG.gamma(4, 0.015, 80)}
STEPS = [0.0, 1.0, 2.0]


def figures(markup, theme):
    percent = {name: list(RNG.uniform(1, 5, markup.num_landmarks)) for name in NME}
    yield ced_figure(NME, theme=theme)
    yield histogram_figure(NME, theme=theme)
    yield curve_figure({name: {"jaw": 3.0, "left_eye": None} for name in NME}, theme=theme)
    yield landmark_map_figure(RNG.uniform(0, 1, (markup.num_landmarks, 2)), percent, markup, theme=theme)
    yield training_figure({name: {"loss": (STEPS, [3.0, 2.0, 1.0])} for name in NME}, theme=theme)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_images_have_their_size_and_content(tiny, theme):
    for figure in figures(tiny, theme):
        image = Image.open(io.BytesIO(render(figure, "png", dpi=50)))
        width, height = figure.get_size_inches()
        assert image.size == pytest.approx((width * 50, height * 50), abs=1)
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10


def test_the_same_numbers_are_the_same_bytes():
    first, second = (render(ced_figure(NME), "svg") for _ in range(2))
    assert first.startswith(b"<?xml")
    assert first == second


def test_ced_draws_the_step_function_and_its_area():
    axis = ced_figure(NME, limit=0.08).axes[0]
    lines = axis.get_lines()
    assert len(lines) == 2
    for line, (name, values) in zip(lines, NME.items(), strict=True):
        x, y = line.get_data()
        assert line.get_drawstyle() == "steps-post"
        for at in (2.0, 4.0, 7.9):
            assert y[np.searchsorted(x, at, side="right") - 1] == pytest.approx(
                100 * (values <= at / 100).mean()
            )
        assert f"AUC {100 * auc(values, 0.08):.1f}" in line.get_label()
        assert name in line.get_label()
    # A name with an underscore or dollar signs is neither dropped nor typeset.
    assert len(axis.get_legend().get_texts()) == 2
    assert not any(text.get_parse_math() for text in axis.get_legend().get_texts())


def test_histogram_counts_every_face_once():
    axis = histogram_figure({"base": np.array([0.01, 0.02, 0.5, np.nan])}, limit=0.1).axes[0]
    (_, outline) = axis.patches
    assert outline.get_data().values.sum() == pytest.approx(100)
    assert outline.get_data().values[-1] == pytest.approx(100 / 3)  # 50 % falls into the last bin
    with pytest.raises(ValueError, match="no face"):
        histogram_figure({"base": np.array([np.nan])})


def test_bars_are_as_long_as_their_numbers():
    axis = curve_figure({"a": {"jaw": 3.0, "eye": None}, "b": {"jaw": 2.0, "eye": 1.0}}).axes[0]
    assert [bar.get_width() for bar in axis.patches] == [3.0, 0.0, 2.0, 1.0]
    assert [t.get_text() for t in axis.texts] == ["3.00", "", "2.00", "1.00"]


def test_training_panels_and_scales():
    curves = {
        "a": {"loss": (STEPS, [900.0, 3.0, 1.0]), "NME, %": (STEPS, [9.0, 8.0, 7.0])},
        "b": {"NME, %": (STEPS, [9.0, 6.0, 5.0])},
    }
    loss, nme = training_figure(curves).axes
    assert (loss.get_title(loc="left"), nme.get_title(loc="left")) == ("loss", "NME, %")
    assert (len(loss.get_lines()), len(nme.get_lines())) == (1, 2)
    assert (loss.get_yscale(), nme.get_yscale()) == ("log", "linear")
    assert loss.get_lines()[0].get_color() == nme.get_lines()[0].get_color() == LIGHT.run(0)[0]
    assert nme.get_lines()[1].get_color() == LIGHT.run(1)[0]
    with pytest.raises(ValueError, match="no run"):
        training_figure({"a": {}})


def test_unseen_landmarks_are_left_out_of_the_map(tiny):
    shape = RNG.uniform(0, 1, (6, 2))
    shape[4] = np.nan
    axis = landmark_map_figure(shape, {"a": [1.0, 2.0, 3.0, 4.0, None, 5.0]}, tiny).axes[0]
    assert axis.collections[0].get_array().tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
