"""The spread of a labelled set over the pose, before and after balancing: for ``landmarks verify`` and for reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.errors import ConfigError
from pipeline.faces.pose import bins_of
from pipeline.shards.order import Balance
from pipeline.words import counted

Kind = Literal["none", "undersample", "replicate"]


@dataclass(frozen=True, eq=False)
class PoseHistogram:
    """Faces of each pose bin.

    Attributes:
        edges: (bins + 1,) float64, in the unit of the coordinates: of a manifest, standard deviations.
        bin_N: (N,) int64 bin of each face.
        unknown: Faces of unknown pose; they are counted in the bin of the mean shape.
    """

    edges: np.ndarray
    bin_N: np.ndarray
    unknown: int

    @property
    def bins(self) -> int:
        """Number of bins, empty ones included."""
        return len(self.edges) - 1

    def faces(self, kind: Kind = "none", per_bin: int | None = None) -> np.ndarray:
        """What an epoch takes of each bin.

        Args:
            kind: As in ``data.balance``; ``none`` counts each face once: what the set holds.
            per_bin: Likewise.

        Returns:
            (bins,) int64; an empty bin stays empty.
        """
        held = np.bincount(self.bin_N, minlength=self.bins)
        if kind == "none":
            return held
        return np.where(held > 0, Balance(self.bin_N, kind, per_bin).share, 0)

    def lines(self) -> list[str]:
        """A small table: the bins' lower edges, the faces they hold, and what an epoch takes with either kind of balancing."""
        rows: list[tuple[str, Sequence[str]]] = [
            ("pose from", [f"{edge:.1f}" for edge in self.edges[:-1]]),
            *((name, [str(n) for n in self.faces(kind)]) for name, kind in _ROWS),
        ]
        head = max(len(name) for name, _ in rows)
        width = max(len(cell) for _, cells in rows for cell in cells)
        table = [f"{name:<{head}}  " + " ".join(f"{cell:>{width}}" for cell in cells) for name, cells in rows]
        totals = ["", *(f"  = {self.faces(kind).sum()}" for _, kind in _ROWS)]
        unknown = [f"{counted(self.unknown, 'face')} of unknown pose, in the middle"] if self.unknown else []
        return [line + total for line, total in zip(table, totals, strict=True)] + unknown


_ROWS: tuple[tuple[str, Kind], ...] = (
    ("faces", "none"),
    ("undersample", "undersample"),
    ("replicate", "replicate"),
)


def pose_histogram(coordinates_N: np.ndarray, bins: int) -> PoseHistogram:
    """Count the faces along the pose.

    Args:
        coordinates_N: (N,) pose of each face, NaN where unknown; e.g. a manifest's (``pipeline.shards.poses.coordinates``).
        bins: Of equal width, as in ``data.balance.bins``.

    Raises:
        ConfigError: No faces, or fewer than one bin.
    """
    if len(coordinates_N) == 0 or bins < 1:
        raise ConfigError(
            f"a histogram of {len(coordinates_N)} faces in {bins} bins; it needs one of each at least"
        )
    placed_N = np.where(np.isfinite(coordinates_N), coordinates_N, 0.0)  # as bins_of places them
    edges = np.linspace(placed_N.min(), placed_N.max(), bins + 1)
    return PoseHistogram(edges, bins_of(coordinates_N, bins), int(np.isnan(coordinates_N).sum()))
