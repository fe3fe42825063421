"""The answer in words: what N more unlabelled faces bought, 'no gain' and harm included, each with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.studies.scaling.cells import Group, Study, group_of
from pipeline.studies.scaling.curve import Curve, Interval
from pipeline.studies.scaling.gain import Comparison
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


@dataclass(frozen=True)
class GroupAnswer:
    """The answer for one group.

    Attributes:
        group: Which.
        outcome: In a word.
        sentences: In full.
    """

    group: Group
    outcome: Outcome
    sentences: tuple[str, ...]


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
    caveats: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it as plain text."""
        parts = [self.headline]
        parts += [f"{g.group.label}: {' '.join(g.sentences)}" for g in self.groups]
        return "\n\n".join([*parts, " ".join(self.caveats)])


def answer(
    study: Study, comparisons: Sequence[Comparison], curves: Sequence[Curve], worths: Sequence[Worth]
) -> Answer:
    """Put numbers into words.

    Args:
        study: The study.
        comparisons: All of it.
        curves: One per group, in the order of ``study.groups``.
        worths: Those that could be told.
    """
    tests = sum(c.p is not None for c in comparisons)
    groups = []
    for group, curve in zip(study.groups, curves, strict=True):
        own = [c for c in comparisons if c.group == group]
        groups.append(_of_group(study, group, own, curve, [w for w in worths if w.group == group], tests))
    return Answer(_headline(groups), tuple(groups), _caveats(study, comparisons, tests))


def _headline(groups: Sequence[GroupAnswer]) -> str:
    sentences = []
    for outcome, words in _HEADLINES.items():
        labels = [g.group.label for g in groups if g.outcome == outcome]
        if len(labels) == len(groups) > 1:
            where = (
                f" in any of the {len(groups)} groups"
                if outcome == "not shown"
                else f", in all {len(groups)} groups"
            )
            return f"{words}{where}."
        if len(labels) > _LISTED:
            sentences.append(f"{words} in {len(labels)} of {len(groups)} groups.")
        elif labels:
            sentences.append(f"{words}: {'; '.join(labels)}.")
    return " ".join(sentences)


def _of_group(
    study: Study,
    group: Group,
    comparisons: Sequence[Comparison],
    curve: Curve,
    worths: Sequence[Worth],
    tests: int,
) -> GroupAnswer:
    lost = _diverged(study, group)
    if not comparisons:
        return GroupAnswer(
            group, "not compared", (*lost, "No seed has both a supervised run and one with unlabelled faces.")
        )
    outcome = _outcome({c.verdict for c in comparisons})
    largest = max(comparisons, key=lambda c: c.unlabelled)
    sentences = _sentences(largest, tests)
    sentences += [_worth(w) for w in worths if w.unlabelled == largest.unlabelled]
    sentences += [_other(c, tests) for c in comparisons if c.verdict != largest.verdict]
    sentences += _curve(curve, shown=outcome in {"gain", "harm", "mixed"})
    return GroupAnswer(group, outcome, (*lost, *sentences))


def _outcome(verdicts: set[str]) -> Outcome:
    if {"gain", "harm"} <= verdicts:
        return "mixed"
    order: tuple[Outcome, ...] = ("gain", "harm", "not shown")
    return next((outcome for outcome in order if outcome in verdicts), "not tested")


def _diverged(study: Study, group: Group) -> list[str]:
    lost = [r for r in study.diverged if group_of(r.cell) == group]
    if not lost:
        return []
    total = sum(group_of(r.cell) == group for r in study.results)
    names = ", ".join(r.run for r in lost)
    return [
        f"{len(lost)} of {total} trainings diverged and have no error ({names}): what follows is of those that did not, "
        "and flatters the recipe."
    ]


def _sentences(c: Comparison, tests: int) -> list[str]:
    faces = f"{c.unlabelled:,} unlabelled faces"
    start = f"With {c.group.labelled:,} labelled faces, "
    change = f"from {c.supervised:.2f} % to {c.semi_supervised:.2f} % ({_evidence(c, tests)})"
    if c.verdict in {"gain", "harm"}:
        verb = "lowered" if c.verdict == "gain" else "raised"
        return [f"{start}{faces} {verb} the error {change}.", _carries(c)]
    if c.verdict == "not tested":
        why = (
            "One training against one"
            if len(c.seeds) == 1
            else "Trainings that do not differ from seed to seed"
        )
        return [
            f"{start}{faces} took the error {change}.",
            f"{why} cannot tell a gain from luck, so there is no p value: add seeds.",
        ]
    found = [f"{start}no gain could be shown from {faces}: the error went {change}."]
    if c.interval and not c.interval[0] <= 0 <= c.interval[1]:
        found.append(
            f"The interval leaves out zero, but it is one of {tests}, and one such among so many is no rarity."
        )
    if c.detectable is not None:
        found.append(
            f"A true gain of {c.detectable:.2f} points ({100 * c.detectable / c.supervised:.1f} %) or more would have "
            "been found four times in five; a smaller one may be there unseen."
        )
    return found


def _other(c: Comparison, tests: int) -> str:
    """A smaller number of unlabelled faces, whose verdict is another than the largest's."""
    verb = {"gain": "lowered it", "harm": "raised it", "not shown": "showed no gain"}.get(
        c.verdict, "cannot be judged"
    )
    where = f"from {c.supervised:.2f} % to {c.semi_supervised:.2f} %"
    return f"{c.unlabelled:,} unlabelled faces {verb}: {where} ({_evidence(c, tests)})."


def _evidence(c: Comparison, tests: int) -> str:
    change = f"{_signed(-c.gain)} points, {_signed(-c.relative)} % relative"
    if c.relative_interval is None or c.corrected_p is None:
        return f"{change}; {_seeds(c)}"
    low, high = c.relative_interval
    corrected = f" after correction for {tests} comparisons" if tests > 1 else ""
    interval = f"95 % CI {_signed(-high)} to {_signed(-low)} %"
    return f"{change}; {interval}; {p_text(c.corrected_p)}{corrected}; {_seeds(c)}"


def _carries(c: Comparison) -> str:
    return (
        f"{c.faces.improved:.0f} % of the test faces improved"
        + ("" if c.faces.p is None else f" (Wilcoxon {p_text(c.faces.p)}, over faces, for these trainings)")
        + "."
    )


def _worth(w: Worth) -> str:
    return (
        f"That is worth about {_count(w.more)} more labelled faces: supervised training would need about "
        f"{_count(w.labelled)} for the same error (log-log interpolation between {w.between[0]:,} and {w.between[1]:,})."
    )


def _curve(curve: Curve, *, shown: bool) -> list[str]:
    if curve.status == "refused":
        return [f"No curve is fitted: {curve.reason}."]
    if curve.status == "flat" or curve.drop is None or curve.drop_interval is None:
        return [f"The curve {curve.reason}; nothing is extrapolated."]
    if not shown:
        return [
            f"The points together fit a curve ({_signed(-curve.drop)} points by the largest number, 95 % CI "
            f"{_range((-curve.drop_interval[1], -curve.drop_interval[0]), '{:+.2f}')}), but no comparison bears it out: "
            "nothing is extrapolated."
        ]
    sentences = []
    for prediction in curve.predictions:
        if prediction.refusal:
            sentences.append(f"No prediction for {prediction.unlabelled:,}: {prediction.refusal}.")
            break
        sentences.append(
            f"By the fitted curve, {prediction.unlabelled:,} would give {prediction.error:.2f} % "
            f"(95 % CI {_range(prediction.interval, '{:.2f}')})."
        )
    if curve.drop > 0 and curve.further is not None and curve.further_interval is not None:
        sentences.append(_further(curve.further, curve.further_interval))
    return sentences


def _further(further: float, interval: Interval) -> str:
    low, high = interval
    if np.isinf(further):
        return "A further 1 % is never reached, by this fit."
    between = f"95 % CI {_count(low)} to {'never' if np.isinf(high) else _count(high)}"
    # A tenfold uncertainty is no budget.
    if high > 10 * max(low, 1):
        return f"How many more would lower it by a further 1 % cannot be told ({between})."
    return f"A further 1 % would take about {_count(further)} more unlabelled faces ({between})."


def _caveats(study: Study, comparisons: Sequence[Comparison], tests: int) -> tuple[str, ...]:
    found = [f"Errors are {study.protocol}, mean over {study.faces:,} faces."]
    if study.excluded:
        found.append(f"{study.excluded:,} faces without a defined NME are left out of every run.")
    if study.selected_on_test:
        found.append("Checkpoints were selected on the measured faces: the errors are optimistic.")
    seeds = [len(c.seeds) for c in comparisons if c.p is not None]
    if tests:
        found.append(
            f"Intervals and p values are over trainings ({_range((min(seeds), max(seeds)))} "
            "seeds), on these test faces."
        )
    if tests and min(seeds) < 5:
        found.append("With so few seeds they lean on errors being normally distributed.")
    if tests > 1:
        found.append(f"p values are corrected for {tests} comparisons (Holm); intervals are not.")
    steps = sorted({r.steps for r in study.results})
    across = "" if len(steps) == 1 else ", not across groups"
    found.append(f"Steps are equal within each comparison{across} ({_range((steps[0], steps[-1]), '{:,}')}).")
    return tuple(found)


def _seeds(c: Comparison) -> str:
    return f"{len(c.seeds)} seed{'s' if len(c.seeds) != 1 else ''}"


def _range(values: tuple[float, float], form: str = "{}") -> str:
    low, high = (form.format(v).replace("-", "−") for v in values)
    return low if low == high else f"{low} to {high}"


def _signed(value: float) -> str:
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


def _count(value: float) -> str:
    """Two significant digits, which is more than such an estimate has."""
    if not np.isfinite(value) or value < 1:
        return "never" if np.isinf(value) else "1"
    return f"{round(value, 1 - int(np.floor(np.log10(value)))):,.0f}"


def p_text(p: float) -> str:
    """A p value as printed."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
