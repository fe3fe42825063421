"""The chart of a self-training study: held-out error by round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.evaluation.plots.canvas import add_legend, canvas, label_axes
from pipeline.evaluation.plots.palette import LIGHT, Theme
from pipeline.studies.selftrain.outcome import RoundOutcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rounds_figure(rounds: Sequence[RoundOutcome], *, theme: Theme = LIGHT) -> Figure:
    """NME by round: after pretraining on pseudo-labels alone, and after fine-tuning on the labels; round 0 as a line across.

    Args:
        rounds: From round 0 on.
        theme: Colours.
    """
    figure, (axis,) = canvas(6.4, 4.0, theme)
    (tuned, solid), (pretrained, dashed) = theme.run(0), theme.run(1)
    axis.axhline(rounds[0].nme, color=theme.ink, linewidth=1, linestyle=(0, (2, 3)), zorder=1)
    numbers = [one.number for one in rounds]
    axis.plot(
        numbers,
        [one.nme for one in rounds],
        color=tuned,
        linestyle=solid,
        marker="o",
        linewidth=2,
        label="after the labels",
    )
    later = [(one.number, one.pretrained_nme) for one in rounds if one.pretrained_nme is not None]
    if later:
        at, values = zip(*later, strict=True)
        axis.plot(
            at,
            values,
            color=pretrained,
            linestyle=dashed,
            marker="s",
            linewidth=1.5,
            label="after pseudo-labels alone",
        )
    axis.set_xticks(numbers)
    label_axes(axis, theme, x="round", y="held-out NME, %", title="Held-out error by round")
    add_legend(axis, theme)
    return figure
