"""The answer in words: what N more unlabelled faces bought, 'no gain' and harm included, each with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.studies.scaling.cells import Group, Study, group_of
from pipeline.studies.scaling.curve import Curve
from pipeline.studies.scaling.gain import Comparison
from pipeline.studies.scaling.room import Room
from pipeline.studies.scaling.table import number, p_text
from pipeline.studies.scaling.worth import Worth

Outcome = Literal["gain", "harm", "mixed", "not shown", "not tested", "not compared"]

_LISTED = 4
"""Groups that a headline names; more are counted."""

_HEADLINES: dict[Outcome, str] = {
    "gain": "Unlabelled faces lowered the error",
    "harm": "Unlabelled faces raised the error",
    "mixed": "Unlabelled faces lowered the error at one number and raised it at another",
    "not shown": "No gain could be shown",
    "not tested": "Whether unlabelled faces help cannot be told without more seeds",
    "not compared": "No pair of runs to compare yet",
}
_VERDICTS = {
    "gain": "lowered the error",
    "harm": "raised the error",
    "not shown": "showed no gain",
    "not tested": "cannot be judged (without seeds that differ there is no p value: add seeds)",
}


@dataclass(frozen=True)
class GroupAnswer:
    """The answer for one group.

    Attributes:
        group: Which.
        outcome: In a word.
        text: In full.
    """

    group: Group
    outcome: Outcome
    text: str


@dataclass(frozen=True)
class Answer:
    """The answer of a study.

    Attributes:
        headline: One or a few sentences.
        groups: One answer for each group.
        caveats: What limits all of it.
    """

    headline: str
    groups: tuple[GroupAnswer, ...]
    caveats: str

    @property
    def text(self) -> str:
        """All of it as plain text."""
        groups = [f"{g.group.label}: {g.text}" for g in self.groups]
        return "\n\n".join([self.headline, *groups, self.caveats])


def answer(
    study: Study,
    comparisons: Sequence[Comparison],
    curves: Sequence[Curve],
    rooms: Sequence[Room],
    worths: Sequence[Worth],
) -> Answer:
    """Put numbers into words.

    Args:
        study: The study.
        comparisons: All of it.
        curves: One per group, in the order of ``study.groups``.
        rooms: Of comparisons, where there is a larger label budget.
        worths: Those that could be told.
    """
    groups = []
    for group, curve in zip(study.groups, curves, strict=True):
        own = [c for c in comparisons if c.group == group]
        if comparisons and set(study.of_group(group)) == {0} and not _diverged(study, group):
            continue  # it is there for the others' room
        outcome = _outcome({c.verdict for c in own})
        most = max((c.unlabelled for c in own), default=0)
        bought = [_room(r) for r in rooms if r.group == group and r.unlabelled == most]
        bought += [_worth(w) for w in worths if w.group == group and w.unlabelled == most]
        sentences = [*_diverged(study, group), *_compared(own), *bought]
        if own:
            sentences += _curve(curve, shown=outcome in {"gain", "harm", "mixed"})
        groups.append(GroupAnswer(group, outcome, " ".join(sentences)))
    return Answer(_headline(groups), tuple(groups), _caveats(study, comparisons))


def _headline(groups: Sequence[GroupAnswer]) -> str:
    sentences = []
    for outcome, words in _HEADLINES.items():
        labels = [g.group.label for g in groups if g.outcome == outcome]
        if len(labels) == len(groups) > 1:
            return f"{words} (all {len(groups)} groups)."
        if labels:
            counted = f" in {len(labels)} of {len(groups)} groups"
            sentences.append(words + (f": {'; '.join(labels)}." if len(labels) <= _LISTED else f"{counted}."))
    return " ".join(sentences)


def _outcome(verdicts: set[str]) -> Outcome:
    if {"gain", "harm"} <= verdicts:
        return "mixed"
    order: tuple[Outcome, ...] = ("gain", "harm", "not shown", "not tested")
    return next((outcome for outcome in order if outcome in verdicts), "not compared")


def _diverged(study: Study, group: Group) -> list[str]:
    lost = [r.run for r in study.diverged if group_of(r.cell) == group]
    total = sum(group_of(r.cell) == group for r in study.results)
    words = f"{len(lost)} of {total} trainings diverged and have no error ({', '.join(lost)}): the rest flatters the recipe."
    return [words] if lost else []


def _compared(comparisons: Sequence[Comparison]) -> list[str]:
    """The largest number of unlabelled faces, and the others whose verdict is another."""
    if not comparisons:
        return ["No seed has both a supervised run and one with unlabelled faces."]
    largest = max(comparisons, key=lambda c: c.unlabelled)
    said = []
    for c in (largest, *(c for c in comparisons if c.verdict != largest.verdict)):
        change = f"{c.supervised:.2f} % → {c.semi_supervised:.2f} %"
        said.append(f"{c.unlabelled:,} unlabelled faces {_VERDICTS[c.verdict]}: {change} ({_evidence(c)}).")
        if c.verdict == "not shown" and c.detectable is not None:
            share = 100 * c.detectable / c.supervised
            said.append(
                f"A true gain of {c.detectable:.2f} points ({share:.1f} %) would have been found four times in five."
            )
    return said


def _evidence(c: Comparison) -> str:
    seeds = f"{len(c.seeds)} seed{'s' if len(c.seeds) != 1 else ''}"
    gain = f"gain {number(c.gain, '{:+.2f}')} points"
    if c.interval is None or c.corrected_p is None:
        return f"{gain}; {seeds}"
    return f"{gain}, 95 % CI {_range(c.interval, '{:+.2f}')}; {p_text(c.corrected_p)}; {seeds}"


def _room(r: Room) -> str:
    closed = f"{number(r.closed, '{:.0f}')} %"
    if r.interval is not None:
        closed += f", 95 % CI {_range(r.interval, '{:.0f}')} %"
    return (
        f"The room was {r.points:.2f} points, to {r.error:.2f} % with {r.labelled:,} labelled faces and no unlabelled ones: "
        f"{closed} of it closed."
    )


def _worth(w: Worth) -> str:
    return (
        f"That is worth about {_count(w.more)} more labelled faces: supervised training would need {_count(w.labelled)} for "
        f"the same error (log-log interpolation between {w.between[0]:,} and {w.between[1]:,})."
    )


def _curve(curve: Curve, *, shown: bool) -> list[str]:
    """What the saturating law says beyond the data, or why it says nothing."""
    if curve.status == "refused":
        return [f"No curve is fitted: {curve.reason}."]
    if curve.status == "flat":
        return [f"The curve {curve.reason}; nothing is extrapolated."]
    if not shown:
        return ["The points together fit a curve, but no comparison bears it out: nothing is extrapolated."]
    said = []
    for p in curve.predictions:
        if p.refusal:
            said.append(f"No prediction for {p.unlabelled:,}: {p.refusal}.")
            break
        said.append(
            f"By the fitted curve, {p.unlabelled:,} would give {p.error:.2f} % (95 % CI {_range(p.interval)})."
        )
    if curve.further is not None and curve.further_interval is not None:
        low, high = curve.further_interval
        between = f"95 % CI {_count(low)} to {_count(high)}"
        # A tenfold uncertainty is no budget.
        told = (
            f"about {_count(curve.further)} more"
            if high <= 10 * max(low, 1)
            else "a number that cannot be told"
        )
        said.append(f"A further 1 % would take {told} ({between}).")
    return said


def _caveats(study: Study, comparisons: Sequence[Comparison]) -> str:
    found = [f"Errors are {study.protocol}, mean over {study.faces:,} faces."]
    if study.excluded:
        found.append(f"{study.excluded:,} faces without a defined NME are left out of every run.")
    if study.selected_on_test:
        found.append("Checkpoints were selected on the measured faces: the errors are optimistic.")
    seeds = [len(c.seeds) for c in comparisons if c.p is not None]
    if seeds:
        found.append(
            f"Intervals and p are over trainings ({_range((min(seeds), max(seeds)), '{}')} seeds), on these test faces; p is "
            f"corrected for {len(seeds)} comparisons (Holm), intervals are not."
        )
        if min(seeds) < 5:
            found.append("With so few seeds they lean on errors being normally distributed.")
    steps = sorted({r.steps for r in study.results})
    across = "" if len(steps) == 1 else ", not across groups"
    found.append(f"Steps are equal within each comparison{across} ({_range((steps[0], steps[-1]), '{:,}')}).")
    return " ".join(found)


def _range(values: tuple[float, float], form: str = "{:.2f}") -> str:
    low, high = (number(value, form) for value in values)
    return low if low == high else f"{low} to {high}"


def _count(value: float) -> str:
    """Two significant digits, which is more than such an estimate has."""
    if np.isinf(value):
        return "never"
    return f"{round(value, 1 - int(np.floor(np.log10(value)))):,.0f}" if value >= 1 else "1"
