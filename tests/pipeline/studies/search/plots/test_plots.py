"""Charts show the trials they are given, each state as itself, and pruned ones never as competitors."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from pipeline.evaluation.plots.canvas import render
from pipeline.evaluation.plots.palette import DARK, LIGHT
from pipeline.studies.search.compare import best, running_best
from pipeline.studies.search.importance import Importance
from pipeline.studies.search.plots import (
    curves_figure,
    history_figure,
    importance_figure,
    parallel_figure,
    slices_figure,
)
from pipeline.studies.search.plots.drawing import ABOVE, BEST, FAILED_HEIGHT, colour, pruned_colour

SHARES = [
    ("end", Importance({"a.b": 0.75, "c": 0.25}, None, 40)),
    ("early", Importance({"c": 1.0}, None, 50, 400)),
]


def offsets(axis, label):
    """Points of the scatter whose legend begins so."""
    found = [c for c in axis.collections if str(c.get_label()).startswith(label)]
    assert len(found) == 1, [c.get_label() for c in axis.collections]
    return np.asarray(found[0].get_offsets())


def with_objective(search, number, objective):
    trials = [
        t.model_copy(update={"objective": objective}) if t.number == number else t for t in search.trials
    ]
    return search.model_copy(update={"trials": tuple(trials)})


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("options", [{"trials": 6, "failed": (3,)}, {"trials": 40}, {"trials": 1}])
def test_all_render_alike_every_time(search_of, theme, options):
    made = search_of(**options)
    draws = (
        lambda: history_figure(made, theme=theme),
        lambda: curves_figure(made, theme=theme),
        lambda: parallel_figure(made, theme=theme),
        lambda: slices_figure(made, theme=theme),
        lambda: importance_figure(SHARES, theme=theme),
    )
    for draw in draws:
        image = Image.open(io.BytesIO(render(draw(), "png", dpi=40))).convert("RGB")
        assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 10
    assert render(draws[0](), "svg") == render(draws[0](), "svg")


def test_history_tells_states_apart(search_of):
    made = search_of(60, failed=(7, 13))
    (axis,) = history_figure(made).axes
    for label, state in (("finished", "finished"), ("pruned", "pruned")):
        expected = [(t.number, t.objective) for t in made.of(state)]
        assert offsets(axis, label) == pytest.approx(np.array(expected))
    assert offsets(axis, "failed") == pytest.approx(np.array([(7, FAILED_HEIGHT), (13, FAILED_HEIGHT)]))
    assert offsets(axis, "the config's own")[0, 0] == 0
    (line,) = axis.get_lines()
    assert line.get_drawstyle() == "steps-post"
    drawn = list(zip(*line.get_data(), strict=True))
    assert drawn[:-1] == running_best(made)
    assert drawn[-1] == (59, best(made).objective)


def test_diverged_runs_stand_at_the_edge_and_are_counted(search_of):
    made = with_objective(search_of(40, prune=False), 9, 500.0)
    (axis,) = history_figure(made).axes
    assert offsets(axis, "above the axis (1)") == pytest.approx(np.array([(9, ABOVE)]))
    assert len(offsets(axis, "finished (40)")) == 39
    assert axis.get_ylim()[1] < 20
    slices = slices_figure(made).axes[: len(made.space)]
    for panel in slices:
        assert offsets(panel, "above the axis").shape == (1, 2)
        assert panel.get_ylim()[1] < 20


def test_curves_end_where_trials_ended(search_of):
    made = search_of(30, failed=(5,))
    (axis,) = curves_figure(made).axes
    steps = [line for line in axis.get_lines() if line.get_drawstyle() == "steps-post"]
    assert len(steps) == 30
    ends = sorted((line.get_xdata()[-1], line.get_ydata()[-1]) for line in steps)
    assert ends == sorted(t.curve[-1] for t in made.trials)
    (winner,) = [line for line in steps if line.get_color() == colour(LIGHT, BEST)]
    assert tuple(winner.get_ydata()) == tuple(v for _, v in best(made).curve)
    assert winner.get_zorder() == max(line.get_zorder() for line in steps)
    faint = [line for line in steps if line.get_color() == pruned_colour(LIGHT)]
    assert len(faint) == len(made.of("pruned"))
    assert axis.get_yscale() == "log"
    bare = tuple(t.model_copy(update={"curve": ()}) for t in made.trials)
    with pytest.raises(ValueError, match="no trial has a curve"):
        curves_figure(made.model_copy(update={"trials": bare}))


def test_importance_bars_are_as_long_as_their_shares():
    (axis,) = importance_figure(SHARES).axes
    assert [bar.get_width() for bar in axis.patches] == [75, 25, 0, 100]
    assert [t.get_text() for t in axis.texts] == ["75", "25", "did not vary", "100"]
    assert [t.get_text() for t in axis.get_legend().get_texts()] == ["end", "early"]
    with pytest.raises(ValueError, match="no importance"):
        importance_figure([("x", Importance(None, "why", 3))])


def test_parallel_lines_pass_their_values(search_of):
    made = search_of(40, failed=(7,))
    keys = ["loss.beta", "optimizer.lr"]
    (axis,) = parallel_figure(made, keys).axes
    lines = [
        line for line in axis.get_lines() if len(line.get_xdata()) >= 2 and len(set(line.get_xdata())) > 1
    ]
    lines = [line for line in lines if list(line.get_xdata()) in ([0, 1], [0, 1, 2])]
    (winner,) = [line for line in lines if line.get_color() == colour(LIGHT, BEST)]
    values = best(made).values
    beta, rate = values["loss.beta"], (np.log10(values["optimizer.lr"]) + 5) / 4
    assert list(winner.get_ydata()) == pytest.approx(
        [beta, rate, 0.0]
    )  # the lowest objective is the scale's lower end
    pruned = [line for line in lines if line.get_color() == pruned_colour(LIGHT)]
    assert len(pruned) == len(made.of("pruned"))
    assert all(len(line.get_xdata()) == 2 for line in pruned)  # they never reach the objective
    assert sum(len(line.get_xdata()) == 3 for line in lines) >= len(made.of("finished"))
    labels = [t.get_text() for t in axis.get_xticklabels()]
    assert labels == ["loss.beta", "optimizer.lr", "validation\nNME, %"]
    with pytest.raises(ValueError, match="no trial finished"):
        parallel_figure(search_of(3, failed=(0, 1, 2)))


def test_parallel_colours_follow_the_objective(search_of):
    made = search_of(30, prune=False)
    (axis,) = parallel_figure(made, ["loss.beta", "optimizer.lr"]).axes
    # Background first in every theme's sense: brightness runs one way from best to worst.
    drawn = [
        line
        for line in axis.get_lines()
        if list(line.get_xdata()) == [0, 1, 2] and line.get_linewidth() == 1.4
    ]
    assert len(drawn) == 30
    drawn.sort(key=lambda line: line.get_ydata()[-1])
    brightness = [sum(to_rgba(line.get_color())[:3]) for line in drawn]
    assert brightness == sorted(brightness)


def test_slices_have_a_panel_per_key_and_only_finished_trials(search_of):
    made = search_of(60, failed=(7,))
    axes = slices_figure(made).axes
    assert [axis.get_xlabel() for axis in axes if axis.get_visible()] == list(made.space)
    for axis in axes[: len(made.space)]:
        above = sum(len(c.get_offsets()) for c in axis.collections if str(c.get_label()).startswith("above"))
        assert len(offsets(axis, "finished")) + above == len(made.of("finished"))
        assert len(offsets(axis, "failed")) == 1


def test_names_are_never_typeset(search_of):
    made = search_of(3, prune=False)
    evil = "_a.$x$"
    renamed = made.model_copy(
        update={
            "space": {evil: made.space["loss.beta"]},
            "default": {evil: 0.5},
            "trials": tuple(
                t.model_copy(update={"values": {evil: t.values["loss.beta"]}}) for t in made.trials
            ),
        }
    )
    (axis,) = parallel_figure(renamed).axes
    assert not any(t.get_parse_math() for t in axis.get_xticklabels())
    axis = slices_figure(renamed).axes[0]
    assert axis.get_xlabel() == evil
    assert not axis.xaxis.label.get_parse_math()
