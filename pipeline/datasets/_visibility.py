"""What the number beside a landmark says: two conventions share the digits, so a reader is told which one a file keeps to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast, get_args

import numpy as np

from pipeline.errors import DataError

OneMeans = Literal["occluded", "visible"]

_SPELLINGS: tuple[tuple[str | int, ...], ...] = (
    (0, "0", "0.0", "false"),
    (1, "1", "1.0", "true"),
    (2, "2", "2.0"),
)


def check_one_means(given: str | None) -> OneMeans | None:
    """A reader's ``one_means``: what 1 stands for.

    Raises:
        DataError: Neither of the two words.
    """
    if given in (None, *get_args(OneMeans)):
        return cast("OneMeans | None", given)
    raise DataError(f"field 'one_means' is {given!r}: give 'occluded' or 'visible'")


def visibilities(
    values: Sequence[Any], one_means: OneMeans | None, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Which of a face's landmarks are visible, and which have a position.

    Without ``one_means``, 1 is visible and 0 occluded at the position, if any; ``visible``: so is 2. ``occluded``, COCO's: 2 is
    visible, 1 occluded at the position, 0 without position.

    Args:
        values: One a landmark: 0, 1 or 2, or a truth value; as JSON or as text.
        one_means: As the reader was told.
        where: File and line, for messages.

    Returns:
        (K,) bool, (K,) bool.

    Raises:
        DataError: Another value, or a 2 beside others where nobody said what those mean.
    """
    codes_K = np.array([_code(value, where, f"v{k}") for k, value in enumerate(values)])
    if one_means is None and (codes_K == 2).any() and (codes_K != 2).any():
        raise DataError(
            f"{where}: v is 2 for some landmarks and {codes_K.min()} for others: set 'one_means' to 'visible' or 'occluded'"
        )
    if one_means == "occluded":
        return codes_K == 2, codes_K > 0
    return codes_K > 0, np.ones(len(codes_K), dtype=bool)


def _code(value: Any, where: str, field: str) -> int:
    spelt = value.strip().lower() if isinstance(value, str) else value
    for code, spellings in enumerate(_SPELLINGS):
        if isinstance(spelt, (str, int, float)) and spelt in spellings:  # True == 1 == 1.0
            return code
    raise DataError(f"{where}: field '{field}' is {value!r}, expected 0 or 1; correct the table")
