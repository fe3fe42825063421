"""Checks of left and right: of a markup's partners, and of the faces annotated by it."""

from __future__ import annotations

import numpy as np

from pipeline.faces.mirror import wrong_partner
from pipeline.markup import Markup
from pipeline.shards.findings import Findings

_MAX_SWAPPED_SHARE = 0.05  # of faces whose left eye is right of the right one: only extreme poses


def check_symmetry(markup: Markup, shapes_NK2: np.ndarray, url: str, findings: Findings) -> None:
    """Landmarks whose partners are wrong, and faces whose left eye lies on the right.

    Args:
        markup: Of the set.
        shapes_NK2: Landmarks in shares of the square's side; NaN where the position is not known.
        url: The manifest.
        findings: Added to.
    """
    permutation = None if markup.flip_pairs is None else markup.flip_permutation
    if permutation is not None and not np.array_equal(
        permutation[permutation], np.arange(markup.num_landmarks)
    ):
        findings.add(
            "error",
            url,
            f"markup '{markup.name}': flipping twice changes the landmarks",
            "correct flip_pairs",
        )
        return
    if markup.pupils is not None:
        left, right = (shapes_NK2[:, list(indices), 0].mean(axis=1) for indices in markup.pupils)
        both = np.isfinite(left) & np.isfinite(right)
        swapped = float((left >= right)[both].mean()) if both.any() else 0.0
        if swapped > _MAX_SWAPPED_SHARE:
            findings.add(
                "error",
                url,
                f"in {swapped:.0%} of the faces the left eye lies right of the right one",
                "left is the viewer's: check the landmarks' order, and that no image was mirrored alone",
            )
    wrong = None if permutation is None else wrong_partner(shapes_NK2, permutation)
    if wrong is not None:
        findings.add(
            "error", url, wrong, f"correct flip_pairs of markup '{markup.name}', or the landmarks' order"
        )
