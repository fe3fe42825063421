"""Colours: one per run, the same in every chart, told apart by colour-blind readers too.

Okabe and Ito's set ("Color Universal Design", 2008), lightened where a dark background asks for it. Line
styles repeat the distinction for print and for more runs than colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

PREDICTION: tuple[int, int, int] = (255, 176, 0)
"""Predicted landmarks, RGB: amber; amber and blue stay apart under every colour blindness."""

TRUTH: tuple[int, int, int] = (90, 205, 255)
"""True landmarks, RGB: sky blue."""

_STYLES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Theme:
    """Colours of a chart.

    Attributes:
        background: Of the figure.
        ink: Text and axes.
        faint: Grid lines and things to read second.
        runs: One colour per run, cycled.
        places: Which of the colours the runs of a chart take, in order; empty for the first ones.
    """

    background: str
    ink: str
    faint: str
    runs: tuple[str, ...]
    places: tuple[int, ...] = ()

    def run(self, index: int) -> tuple[str, str]:
        """Colour and line style of the index-th run of a chart."""
        index = self.places[index] if self.places else index
        return self.runs[index % len(self.runs)], _STYLES[(index // len(self.runs)) % len(_STYLES)]

    def only(self, places: Sequence[int]) -> Theme:
        """The theme for a chart that shows only some of a report's runs: each keeps its colour."""
        return replace(self, places=tuple(places))


LIGHT = Theme(
    background="#ffffff",
    ink="#1c2430",
    faint="#d5dae2",
    runs=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b07d00", "#4d4d4d"),
)
DARK = Theme(
    background="#161b22",
    ink="#e6e9ee",
    faint="#39424e",
    runs=("#4fb0ea", "#ff8a3d", "#2fd0a2", "#e69bc5", "#9bd3f5", "#f0c44c", "#b8bec7"),
)
