"""Which charts there are, what is left out of them, and that drawing them leaves nothing behind."""

from __future__ import annotations

import base64
import warnings

import matplotlib as mpl
import pytest
from matplotlib import colors
from matplotlib import pyplot as plt

from pipeline.evaluation.plots.canvas import render
from pipeline.studies.search import charts as module
from pipeline.studies.search.charts import charts
from pipeline.studies.search.importance import importance
from pipeline.training.config.tune import ParameterConfig


def with_keys(search, space, values_of):
    trials = tuple(t.model_copy(update={"values": {**t.values, **values_of(t)}}) for t in search.trials)
    default = {**search.default, **values_of(search.trials[0])}
    changes = {"space": {**search.space, **space}, "default": default, "trials": trials}
    return search.model_copy(update=changes)


def draw(search):
    """The charts, and the figures that they were rendered from."""
    figures = []

    def kept(figure, kind):
        figures.append(figure)
        return render(figure, kind)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "render", kept)
        return charts(search), figures


@pytest.fixture(scope="module")
def drawn(search_of):
    made = search_of(60, failed=(7,))
    return made, *draw(made)


def test_which_charts_there_are(drawn, search_of):
    _, found, _ = drawn
    titles = [
        "History",
        "Learning curves",
        "Importance at the end",
        "Importance at step 400",
        "All keys at once",
    ]
    assert [c.title for c in found] == [*titles, "Key by key"]
    assert (
        found[2].note == "Nothing to show: 8 trials finished; with fewer than 10 the shares would be chance."
    )
    assert not found[2].images
    assert "59 trials, pruned ones too" in found[3].note
    assert "each key explains: optimizer.lr" in found[3].alt
    assert len(found[5].images) == 2  # six keys, three in a row
    for chart in found:
        for image in chart.images:
            assert base64.b64decode(image.removeprefix("data:image/svg+xml;base64,")).startswith(b"<?xml")
    assert [c.title for c in charts(search_of(1))] == titles[:3]
    assert charts(search_of(0)) == []


def test_colours_of_learning_curves_say_how_a_trial_ended(drawn):
    made, found, figures = drawn
    assert found[1].note == "Failed trials are left out."
    (axis,) = figures[1].axes
    lines = {line.get_label(): line for line in axis.get_lines()}
    assert set(lines) == {f"Trial{t.number}" for t in made.of("finished", "pruned")}
    shades = {
        state: {colors.to_hex(lines[f"Trial{t.number}"].get_color()) for t in made.of(state)}
        for state in ("finished", "pruned")
    }
    assert len(shades["pruned"]) == 1
    assert not shades["finished"] & shades["pruned"]
    for trial in made.of("finished", "pruned"):
        x, y = lines[f"Trial{trial.number}"].get_data()
        assert list(zip(x, y, strict=True)) == list(trial.curve)
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ["best", "the config's own values", "finished", "pruned"]


def test_importance_bars_are_as_long_as_their_shares(drawn):
    made, _, figures = drawn
    shares = importance(made, 400).shares
    (axis,) = figures[2].axes
    assert [bar.get_width() for bar in axis.patches] == pytest.approx([100 * s for s in shares.values()])
    assert [text.get_text() for text in axis.get_yticklabels()] == list(shares)


def test_history_holds_the_finished_trials_and_a_diverged_one_on_the_fence(search_of):
    made = search_of(9, prune=False)
    trials = tuple(t.model_copy(update={"objective": 500.0}) if t.number == 4 else t for t in made.trials)
    found, figures = draw(made.model_copy(update={"trials": trials}))
    assert "1 above" in found[0].note
    assert "outliers" in found[0].note
    points = figures[0].axes[0].collections[0].get_offsets()
    assert {int(x): y for x, y in points if x != 4} == {
        t.number: pytest.approx(t.objective) for t in made.trials if t.number != 4
    }
    assert figures[0].axes[0].get_ylim()[1] < 20


@pytest.mark.filterwarnings("error")
def test_null_true_and_odd_words_are_choices_and_constant_keys_are_named(search_of):
    choices = (True, None, "$a_b$ [red]", 3)
    space = {
        "loss.flag": ParameterConfig(type="choice", values=choices),
        "loss.fixed": ParameterConfig(type="float", low=1, high=2),
    }
    made = with_keys(
        search_of(8, prune=False), space, lambda t: {"loss.flag": choices[t.number % 4], "loss.fixed": 1.5}
    )
    found = {c.title: c for c in charts(made)}
    assert "Not shown, as they did not vary: loss.fixed." in found["Key by key"].note
    assert "loss.flag" in found["Key by key"].alt
    assert "loss.fixed" not in found["All keys at once"].alt


def test_many_keys_keep_the_most_important(search_of):
    extra = {f"extra.k{i}": ParameterConfig(type="float", low=0, high=1) for i in range(8)}
    made = with_keys(search_of(12, prune=False), extra, lambda t: dict.fromkeys(extra, t.number % 7 / 7))
    parallel = next(c for c in charts(made) if c.title == "All keys at once")
    assert "6 more keys, of less importance, are left out." in parallel.note
    assert all(key in parallel.alt for key in ("optimizer.lr", "model.width"))


def test_drawing_leaves_nothing_behind(search_of, capsys):
    before, style = plt.get_fignums(), dict(mpl.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        charts(search_of(5, failed=(3,)))
    assert plt.get_fignums() == before
    assert dict(mpl.rcParams) == style
    assert capsys.readouterr() == ("", "")
