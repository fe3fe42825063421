"""The chart of groups shows each run's mean and interval where the run has the group."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.groups import GroupSummary
from pipeline.evaluation.plots.groups import group_figure
from pipeline.evaluation.plots.palette import LIGHT

KEYS = [("blur", "no"), ("blur", "yes"), ("pose", "left")]


def group(key, nme, interval):
    return GroupSummary(by=key[0], name=key[1], faces=9, nme=nme, interval=interval, failure_rate={}, auc={})


def test_dots_intervals_and_rows():
    one = {key: group(key, 4.0 + i, (3.0 + i, 6.0 + i)) for i, key in enumerate(KEYS)}
    other = {KEYS[1]: group(KEYS[1], 7.0, None)}
    (axis,) = group_figure(KEYS, {"one": one, "_other $x$": other}).axes
    lines = {
        colour: [
            np.array(line.get_xdata(), dtype=float).tolist()
            for line in axis.lines
            if line.get_color() == colour
        ]
        for colour in LIGHT.runs[:2]
    }
    assert lines[LIGHT.runs[0]] == [[3, 6], [4], [4, 7], [5], [5, 8], [6]]
    assert lines[LIGHT.runs[1]] == [[7, 7], [7]]  # one face has no interval
    assert [label.get_text() for label in axis.get_yticklabels()] == ["blur: no", "blur: yes", "pose: left"]
    rows = axis.get_yticks()
    assert rows[2] - rows[1] == pytest.approx(1.6)  # a gap between what tells faces apart
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["one", " _other $x$"]
