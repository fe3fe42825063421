"""What a measurement in another markup is worth: how landmarks were mapped, and how far a perfect model would be off."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.strict import Finite


class MappingSummary(Finite):
    """How landmarks of one markup came to stand for those of another."""

    what: Literal["truth", "predictions"]
    links: tuple[str, ...] = Field(min_length=2, description="markups of the chain, first to last")
    floors: tuple[float | None, ...] = Field(
        description="of each link: mean distance of mapped from true landmarks on faces labelled in both, % of the ocular "
        "distance, offsets taken off; None where nobody measured it"
    )
    measured: tuple[str | None, ...] = Field(description="of each link, on what")

    @property
    def sentence(self) -> str:
        """For reports."""
        told = f"{self.what} mapped from {' to '.join(self.links)}"
        known = [
            f"{floor:g} % ({how})"
            for floor, how in zip(self.floors, self.measured, strict=True)
            if floor is not None
        ]
        if not known:
            return f"{told}; how far these markups differ on the same face was not measured"
        return f"{told}; a perfect model would be off by about {' and '.join(known)}"
