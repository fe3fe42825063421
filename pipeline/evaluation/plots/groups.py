"""A chart of the mean error on each group of faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.groups import GroupSummary
from pipeline.evaluation.plots.canvas import (
    add_legend,
    canvas,
    columns_above,
    label_axes,
    printable,
    shortened,
)
from pipeline.evaluation.plots.palette import LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def group_figure(
    keys: Sequence[tuple[str, str]],
    groups: Mapping[str, Mapping[tuple[str, str], GroupSummary]],
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """Dots with intervals, a row per group, groups told apart by one thing standing together.

    Args:
        keys: (by, name) of each row.
        groups: Run name → key → numbers; a run need not have all.
        theme: Colours.
    """
    starts = [i for i in range(1, len(keys)) if keys[i][0] != keys[i - 1][0]]
    rows = np.array([i + 0.6 * sum(start <= i for start in starts) for i in range(len(keys))])
    figure, (axis,) = canvas(6.4, 1.2 + max(0.32, 0.16 * len(groups)) * len(keys), theme)
    step = min(0.16, 0.7 / max(len(groups), 1))
    for index, (name, found) in enumerate(groups.items()):
        colour = theme.run(index)[0]
        offset = (index - (len(groups) - 1) / 2) * step
        label: str | None = printable(name)
        for row, key in zip(rows + offset, keys, strict=True):
            if key not in found:
                continue
            group = found[key]
            low, high = group.interval or (group.nme, group.nme)
            axis.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="round")
            axis.plot(group.nme, row, "o", color=colour, markersize=5, label=label)
            label = None
    axis.set_yticks(rows, [shortened(f"{by}: {name}", 40) for by, name in keys], parse_math=False)
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    label_axes(axis, theme, x="mean NME and its 95 % interval, %")
    if len(groups) > 1:
        add_legend(axis, theme, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns_above([*groups]))
    return figure
