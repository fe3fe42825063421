"""Words for people: counts, and text of files that goes into a line."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number and what it counts: ``1 face``, ``1,234 faces``.

    Args:
        number: How many.
        one: What, in the singular.
        many: In the plural, where that is not ``one`` with an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def on_one_line(text: str) -> str:
    """Text whose line breaks and other control characters are escaped: a file's name may hold any."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
