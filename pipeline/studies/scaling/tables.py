"""The tables of a study: errors in the shape of the papers' tables 2 and 3, gains, curves, further figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pipeline.evaluation.headline import ABSENT
from pipeline.studies.scaling.analysis import Analysis, Level
from pipeline.studies.scaling.cells import Group
from pipeline.studies.scaling.curve import Curve
from pipeline.studies.scaling.gain import Comparison
from pipeline.studies.scaling.room import Room
from pipeline.studies.scaling.table import Mark, Row, StudyTable, Text, number, p_text


def tables(analysis: Analysis) -> list[StudyTable]:
    """Those there is something to put into, the one in the shape of the paper's table 2 first."""
    made = [
        by_unlabelled(analysis),
        by_width(analysis),
        gains(analysis),
        curves(analysis),
        measures(analysis),
    ]
    return [table for table in made if table is not None and table.rows]


def brief(analysis: Analysis) -> list[StudyTable]:
    """Those for a terminal of 100 characters: the errors, and of the gains what a decision needs."""
    full = gains(analysis)
    kept = [full.columns.index(name) for name in ("Verdict", "Gain, points", "95 % CI", "p, Holm", _ROOM)]
    rows = tuple(replace(row, cells=tuple(row.cells[i] for i in kept)) for row in full.rows)
    short = replace(full, columns=tuple(full.columns[i] for i in kept), rows=rows)
    short = replace(
        short,
        note="CI over trainings, not corrected. Room: what the largest label budget takes off without unlabelled faces.",
    )
    return [
        table
        for table in (by_unlabelled(analysis), by_width(analysis), short)
        if table is not None and table.rows
    ]


def _level_text(level: Level | None) -> str:
    if level is None:
        return ABSENT
    return f"{level.mean:.2f}" if level.deviation is None else f"{level.mean:.2f} ± {level.deviation:.2f}"


def _cell(analysis: Analysis, group: Group, unlabelled: int) -> Text:
    comparison = analysis.comparison(group, unlabelled)
    marks: dict[str, Mark] = {"gain": "gain", "harm": "harm"}
    mark = marks.get(comparison.verdict, "") if comparison else ""
    return Text(_level_text(analysis.level(group, unlabelled)), mark)


_NOTE = "NME, %: mean ± standard deviation over seeds. Marked: gain (↓) or harm (↑) shown, Holm-corrected p < 0.05."


def by_unlabelled(analysis: Analysis) -> StudyTable:
    """Robinson et al., table 2: a method per row, more unlabelled faces from left to right."""
    counts = sorted({level.unlabelled for level in analysis.levels})
    rows = [
        Row(
            (group.series, f"{group.labelled:,}"),
            tuple(_cell(analysis, group, count) for count in counts),
            group.series,
        )
        for group in analysis.study.groups
    ]
    columns = tuple(f"{count:,} unlabelled" if count else "supervised" for count in counts)
    return StudyTable("Error by unlabelled faces", _NOTE, ("Method", "Labelled"), columns, tuple(rows))


def by_width(analysis: Analysis) -> StudyTable | None:
    """Robinson et al., table 3: the generator's width from left to right; None with a single one."""
    widths = sorted({g.width for g in analysis.study.groups if g.width is not None})
    if len(widths) < 2:
        return None
    kinds = dict.fromkeys((x.group.method, x.group.labelled, x.unlabelled) for x in analysis.levels)
    rows = [
        Row(
            (method, f"{labelled:,}", f"{count:,}"),
            tuple(_cell(analysis, Group(labelled, method, width), count) for width in widths),
            "",
        )
        for method, labelled, count in kinds
    ]
    columns = tuple(f"width {width}" for width in widths)
    return StudyTable("Error by width", _NOTE, ("Method", "Labelled", "Unlabelled"), columns, tuple(rows))


def measures(analysis: Analysis) -> StudyTable | None:
    """The further figures of every cell; None where there are none."""
    names = tuple(dict.fromkeys(name for level in analysis.levels for name in level.extra))
    if not names:
        return None

    def text(summary: tuple[float, float | None]) -> str:
        return f"{summary[0]:.2f}" + ("" if summary[1] is None else f" ± {summary[1]:.2f}")

    rows = [
        Row(
            (x.group.series, f"{x.group.labelled:,}", f"{x.unlabelled:,}"),
            tuple(Text(text(x.extra[name]) if name in x.extra else ABSENT) for name in names),
            x.group.series,
        )
        for x in analysis.levels
    ]
    note = "Mean ± standard deviation over seeds."
    return StudyTable("Further figures", note, ("Method", "Labelled", "Unlabelled"), names, tuple(rows))


def _between(interval: tuple[float, float] | None, form: str = "{:.2f}") -> str:
    return ABSENT if interval is None else f"{number(interval[0], form)} … {number(interval[1], form)}"


def _with_interval(value: float | None, interval: tuple[float, float] | None, form: str = "{:.2f}") -> str:
    return number(value, form) + ("" if interval is None else f" ({_between(interval, form)})")


def _p(value: float | None) -> str:
    return ABSENT if value is None else p_text(value).removeprefix("p ").removeprefix("= ")


_GAIN_COLUMNS: dict[str, Callable[[Comparison], str]] = {
    "Verdict": lambda c: c.verdict,
    "Gain, points": lambda c: number(c.gain, "{:+.2f}"),
    "95 % CI": lambda c: _between(c.interval, "{:+.2f}"),
    "Gain, %": lambda c: number(c.relative, "{:+.1f}"),
    "p": lambda c: _p(c.p),
    "p, Holm": lambda c: _p(c.corrected_p),
    "Detectable, points": lambda c: number(c.detectable),
    "Faces improved, %": lambda c: number(c.faces.improved, "{:.0f}"),
    "p over faces": lambda c: _p(c.faces.p),
    "Time, ×": lambda c: number(c.time, "{:.1f}"),
    "Seeds": lambda c: str(len(c.seeds)),
}


_ROOM = "Room closed, %"


def _closed(room: Room | None) -> str:
    return ABSENT if room is None else _with_interval(room.closed, room.interval, "{:.0f}")


def gains(analysis: Analysis) -> StudyTable:
    """Every number of unlabelled faces against none."""
    marks: dict[str, Mark] = {"gain": "gain", "harm": "harm"}

    def cells(c: Comparison) -> tuple[Text, ...]:
        told = {name: text(c) for name, text in _GAIN_COLUMNS.items()} | {_ROOM: _closed(analysis.room(c))}
        return tuple(
            Text(text, marks.get(c.verdict, "") if name == "Verdict" else "") for name, text in told.items()
        )

    rows = [
        Row((c.group.series, f"{c.group.labelled:,}", f"{c.unlabelled:,}"), cells(c), c.group.series)
        for c in analysis.comparisons
    ]
    note = (
        "Error without unlabelled faces less error with them, same seeds; positive is better. CI and p over trainings, "
        "p over faces for these trainings only. Detectable: smallest true gain found four times in five. Room: what the largest "
        "label budget takes off without unlabelled faces, taken as known."
    )
    return StudyTable(
        "Gain over supervised",
        note,
        ("Method", "Labelled", "Unlabelled"),
        (*_GAIN_COLUMNS, "Room closed, %"),
        tuple(rows),
    )


def _parameter(name: str, form: str = "{:.2f}") -> Callable[[Curve], str]:
    def text(curve: Curve) -> str:
        if curve.law is None:
            return ABSENT
        if name in curve.fixed:
            return f"{number(getattr(curve.law, name), form)} (set)"
        return _with_interval(getattr(curve.law, name), (curve.intervals or {}).get(name), form)

    return text


def _prediction(index: int) -> Callable[[Curve], str]:
    def text(curve: Curve) -> str:
        if len(curve.predictions) <= index:
            return ABSENT
        one = curve.predictions[index]
        return "refused" if one.refusal else _with_interval(one.error, one.interval)

    return text


_CURVE_COLUMNS: dict[str, Callable[[Curve], str]] = {
    "Status": lambda c: c.status,
    "e₀, %": _parameter("e_0"),
    "e∞, %": _parameter("e_inf"),
    "n₀, faces": _parameter("n_0", "{:,.0f}"),
    "α": _parameter("alpha"),
    "Fall, points": lambda c: _with_interval(c.drop, c.drop_interval, "{:+.2f}"),
    "at 2 × N, %": _prediction(0),
    "at 10 × N, %": _prediction(1),
    "Faces for 1 % more": lambda c: _with_interval(c.further, c.further_interval, "{:,.0f}"),
}


def curves(analysis: Analysis) -> StudyTable:
    """The fitted law of every group."""
    rows = [
        Row(
            (c.group.series, f"{c.group.labelled:,}"),
            tuple(Text(text(c)) for text in _CURVE_COLUMNS.values()),
            c.group.series,
        )
        for c in analysis.curves
    ]
    note = (
        "err(N) = e∞ + (e₀ − e∞)(1 + N/n₀)^−α, 95 % intervals in brackets; set: too few N to fit it. Fall: from N = 0 to "
        "the largest; the last three columns only where the curve is not flat, their intervals for these seeds."
    )
    return StudyTable("Fitted curve", note, ("Method", "Labelled"), tuple(_CURVE_COLUMNS), tuple(rows))
