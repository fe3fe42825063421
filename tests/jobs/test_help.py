"""``landmarks help``: from the kinds of parts to one part's keys."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from jobs.help import show
from pipeline.errors import ConfigError


def shown(*arguments: str | None) -> str:
    out = io.StringIO()
    show(*arguments, console=Console(file=out, width=110))
    return out.getvalue()


def test_from_kinds_to_keys():
    assert "prepare.sets[].reader" in shown(None, None)
    losses = shown("loss", None)
    assert "laplace_kl" in losses
    assert "LaplaceKL: match the location" in losses
    coco = shown("reader", "coco")
    assert "one_means" in coco
    assert "needed" in coco


def test_what_looks_like_markup_is_printed_as_it_is():
    # A type with brackets in its name would be swallowed.
    assert "tuple[float, float]" in " ".join(shown("augmentation", "custom").split())


def test_no_such_kind_or_part():
    with pytest.raises(ConfigError, match="no kind of part is called 'los': did you mean 'loss'"):
        shown("los", None)
    with pytest.raises(ConfigError, match="no loss named 'laplac_kl': did you mean 'laplace_kl'"):
        shown("loss", "laplac_kl")
