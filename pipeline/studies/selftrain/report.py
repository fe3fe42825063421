"""One HTML file of a self-training study: the error by round first, then where the numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evaluation.headline import ABSENT
from pipeline.evaluation.inline import page_template, themed
from pipeline.evaluation.plots.palette import DARK, LIGHT
from pipeline.evaluation.provenance import flat
from pipeline.storage import write_text
from pipeline.studies.selftrain.outcome import RoundOutcome, best_round
from pipeline.studies.selftrain.plots import rounds_figure


def build_selftrain_report(
    rounds: Sequence[RoundOutcome], out: str, *, name: str, ended: str, facts: Mapping[str, Any]
) -> None:
    """Write the report, atomically.

    Args:
        rounds: Those finished, from round 0.
        out: The HTML file; local path or URL.
        name: Of the study.
        ended: A sentence: why there is no further round, or that one is under way.
        facts: For the section on provenance.

    Raises:
        StorageError: The file cannot be written.
    """
    best, first = best_round(rounds), rounds[0]
    seconds = sum(one.seconds for one in rounds)
    cards = [
        ("Held-out NME", f"{best.nme:.2f}", "%", f"round {best.number}"),
        ("Round 0", f"{first.nme:.2f}", "%", "before any pseudo-label"),
        ("Gain", f"{100 * (1 - best.nme / first.nme):.1f}", "%", "of round 0's error"),
        ("Trained", f"{seconds / 60:.1f}", "min", f"{sum(one.steps for one in rounds):,} steps"),
    ]
    page = page_template("selftrain.html.j2").render(
        title=f"Self-training in rounds: {name}",
        swatches=[{"light": LIGHT.run(i)[0], "dark": DARK.run(i)[0]} for i in range(2)],
        cards=[dict(zip(("label", "value", "unit", "run"), card, strict=True)) for card in cards],
        ended=ended,
        rows=rows(rounds),
        chart=themed(lambda theme: rounds_figure(rounds, theme=theme)),
        provenance=list(flat(dict(facts)).items()),
    )
    write_text(out, page)


def rows(rounds: Sequence[RoundOutcome]) -> list[tuple[bool, list[str]]]:
    """The table: whether a round is the best, and its cells."""
    best, first = best_round(rounds), rounds[0]
    return [
        (
            one is best,
            [
                str(one.number),
                ABSENT if one.pseudo_labels is None else f"{one.pseudo_labels:,}",
                ABSENT if one.pretrained_nme is None else f"{one.pretrained_nme:.3f}",
                f"{one.nme:.3f}",
                ABSENT if one is first else f"{100 * (1 - one.nme / first.nme):+.1f}",
                "yes" if one.shrink else "no",
                f"{one.steps:,}",
                f"{one.seconds / 60:.1f}",
            ],
        )
        for one in rounds
    ]
