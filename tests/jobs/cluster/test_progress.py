"""Progress in the same words on a terminal and in a log: how far, what else, how fast, how long still."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import jobs.cluster.progress as module
from jobs.cluster.progress import Display, progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets, for the lines and for the rate."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    bars = module.Progress
    monkeypatch.setattr(module, "Progress", lambda *a, **k: bars(*a, get_time=lambda: now[0], **k))
    return now


def test_quick_work_is_worth_its_end_alone(capsys):
    with progress("prepare train", 10, done=4) as advance:
        for _ in range(6):
            advance(1, "2 left out")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("prepare train: 10/10 images · 2 left out · ")


def test_slow_work_is_reported_on_the_way(capsys, clock):
    with progress("verify", 30, unit="samples") as advance:
        for _ in range(30):
            clock[0] += 2.0
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "verify: 8/30 samples · 30/min · 0:00:44 left",
        "verify: 16/30 samples · 30/min · 0:00:28 left",
        "verify: 24/30 samples · 30/min · 0:00:12 left",
    ]
    assert len(lines) == 4
    assert lines[3].startswith("verify: 30/30 samples · 30/min")


def test_what_an_earlier_command_did_does_not_count_as_speed(capsys, clock):
    with progress("prepare", 1_000_000, done=900_000) as advance:
        for _ in range(16):
            clock[0] += 1.0
            advance(100)
    assert "prepare: 901,500/1,000,000 images · 100/s · 0:16:25 left" in capsys.readouterr().err


def test_a_start_long_ago_says_nothing_about_the_rate(clock):
    out = io.StringIO()
    with Display(Console(file=out, width=200)) as display:
        row = display.row("toy")
        for step, seconds in ((1, 0.0), (2, 600.0), *((2 + n, 1.0) for n in range(1, 31))):
            clock[0] += seconds
            row.update(step, total=62, note="loss 1.0")
    assert out.getvalue() == "toy: 32/62 steps · loss 1.0 · 1/s · 0:00:30 left\n"


def test_of_what_came_in_one_go_the_rate_is_that_of_the_whole(capsys, clock):
    with progress("predict", 5, done=1) as advance:
        clock[0] += 8.0  # a model was loaded, faces were looked for
        for _ in range(4):
            advance(1)
    assert capsys.readouterr().err == "predict: 5/5 images · 30/min\n"


def test_rates_of_rare_things(clock):
    out = io.StringIO()
    with Display(Console(file=out, width=200)) as display:
        row = display.row("study", 100, unit="runs")
        for part in (1.0, 1.05, 1.1, 1.15):
            clock[0] += 30.0
            row.update(part)
    assert out.getvalue().startswith("study: 1.1/100 runs · 6.0/h · 16:28:3")


def test_a_terminal_shows_the_same_words_and_no_lines(clock):
    out = io.StringIO()
    with Display(Console(file=out, width=200, force_terminal=True)) as display:
        row = display.row("toy", 40)
        for step in (10, 20, 30):
            clock[0] += 20.0
            row.update(step, note="loss 1.0")
            display.lines()
    assert "30/40 steps · loss 1.0 · 30/min · 0:00:20 left" in out.getvalue()
    assert "toy: " not in out.getvalue()
