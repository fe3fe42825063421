"""The findings of a check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning"]

_SHOWN = 10
"""Findings of one kind that are listed one by one."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        severity: ``error``: training or its numbers would be wrong; ``warning``: worth knowing.
        file: The manifest or tar (and member) it is about.
        message: What is wrong.
        remedy: What to do.
    """

    severity: Severity
    file: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.file}: {self.message}; {self.remedy}"


@dataclass
class Findings:
    """A list that does not drown its reader: of each kind only the first few, and how many more there are."""

    all: list[Finding] = field(default_factory=list)
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, severity: Severity, file: str, message: str, remedy: str, kind: str | None = None) -> None:
        """Note a finding. Those of one ``kind`` in one file are limited; without a kind there is no limit."""
        if kind is not None:
            count = self._counts.get((file, kind), 0) + 1
            self._counts[file, kind] = count
            if count > _SHOWN:
                return
        self.all.append(Finding(severity, file, message, remedy))

    def close(self) -> list[Finding]:
        """All findings, with a line for those that were not listed."""
        hidden = [
            Finding("warning", file, f"{count - _SHOWN} more of the kind '{kind}'", "see those listed")
            for (file, kind), count in self._counts.items()
            if count > _SHOWN
        ]
        return self.all + hidden
