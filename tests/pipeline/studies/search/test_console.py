"""The terminal's table: the best first, failures explained, never wider than the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.studies.search.console import counts, search_table
from pipeline.studies.search.trials import Trial


def printed(search, width=100, **options):
    console = Console(file=io.StringIO(), width=width)
    console.print(search_table(search, width, **options))
    return console.file.getvalue()


def test_the_best_ten_in_order_and_the_rest_counted(search_of):
    made = search_of(40, prune=False)
    text = printed(made)
    order = sorted(made.trials, key=lambda t: t.objective)
    places = [text.index(f"{t.objective:.3f}") for t in order[:10]]
    assert places == sorted(places)
    assert f"{order[10].objective:.3f}" not in text
    assert "30 more finished, none better" in text
    assert "40 of 40 trials: 40 finished" in text


def test_states_failures_and_the_default(search_of):
    made = search_of(30, failed=(7, 8, 13))
    running = Trial(number=30, name="r", values=made.default, state="running", objective=9.125, steps=200)
    made = made.model_copy(update={"trials": (*made.trials, running), "planned": 50})
    text = printed(made)
    assert counts(made) in text
    assert counts(made).startswith("31 of 50 trials: ")
    assert sum(int(word) for word in counts(made).split(": ")[1].replace(",", "").split()[::2]) == 31
    assert "trial 7 failed: non-finite loss at step 212" in text
    assert "Traceback" not in text  # the first line is enough here
    assert "0*" in text
    assert text.index("running") < text.index(" finished │")
    assert "9.125" in text


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("options", [{"trials": 60}, {"trials": 5, "failed": (0, 1, 2, 3, 4)}, {"trials": 0}])
def test_no_line_is_wider_than_the_terminal(search_of, width, options):
    text = printed(search_of(**options), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_wide_terminals_have_a_column_per_key(search_of):
    made = search_of(3, prune=False)
    heads = [line for line in printed(made, 140).splitlines() if "Trial" in line]
    assert "objective.name" in heads[0]
    assert "objective.name" not in next(line for line in printed(made, 80).splitlines() if "Trial" in line)
    assert "objective.name=adversarial" in printed(made, 80)


def test_plain_is_ascii_but_for_the_words(search_of):
    text = printed(search_of(12, failed=(3,)), plain=True).split("\n", 1)[1]
    assert "\x1b" not in text
    assert not set(text) & set("│╭╮╰╯─")


def test_markup_in_names_and_values_is_text(search_of):
    made = search_of(2, prune=False)
    trials = tuple(
        t.model_copy(update={"values": {**t.values, "unlabelled.objective.name": "[red]x[/red]"}})
        for t in made.trials
    )
    text = printed(made.model_copy(update={"trials": trials, "name": "[bold]s"}), 140)
    assert "[red]x[/red]" in text
    assert "[bold]s" in text
