"""One HTML file about a search: the answer first, then what it rests on. No scripts, no requests, everything inlined."""

from __future__ import annotations

from typing import Any

from pipeline.evaluation.inline import page_template
from pipeline.evaluation.provenance import ABSENT, flat
from pipeline.storage import write_text
from pipeline.studies.search.charts import charts
from pipeline.studies.search.compare import (
    Comparison,
    best,
    compare,
    default_trial,
    first_line,
    same,
)
from pipeline.studies.search.trials import Search, Trial
from pipeline.studies.search.words import duration, show
from pipeline.training.config.tune import ParameterConfig

_TITLE = "Facial landmarks: hyperparameter search"
_ORDER = {"finished": 0, "running": 1, "pruned": 2, "failed": 3}


def build_search_report(
    search: Search, out: str, *, best_yaml: str | None = None, command: str | None = None
) -> None:
    """Write the report, atomically.

    Args:
        search: Finished or under way; also one of which no trial finished: then the reasons come first.
        out: The HTML file; local path or URL.
        best_yaml: The best trial's whole config, as written to disk.
        command: What to type to train it.

    Raises:
        StorageError: The file cannot be written.
    """
    write_text(out, render_search_report(search, best_yaml=best_yaml, command=command))


def render_search_report(search: Search, *, best_yaml: str | None = None, command: str | None = None) -> str:
    """The report as HTML text; see ``build_search_report``."""
    found = compare(search)
    return page_template("search.html.j2", "pipeline.studies").render(
        title=_TITLE,
        swatches=[],
        search=search,
        states=[(state, len(search.of(state))) for state in _ORDER if search.of(state)],  # type: ignore[arg-type]
        answer=None if found is None else _answer(search, found),
        values=_values(search),
        failures=_failures(search),
        charts=charts(search),
        rows=_rows(search),
        keys=list(search.space),
        best_yaml=best_yaml,
        command=command,
        provenance=_provenance(search),
    )


def _answer(search: Search, found: Comparison) -> dict[str, Any]:
    winner, default = found.best, found.default
    itself = default is not None and default.number == winner.number
    cards = [_card("Best trial's validation NME", winner.objective, "%", winner.name)]
    if default is not None and not itself:
        cards.append(_card("The config's own values", default.objective, "%", default.name, default.state))
    if found.gain is not None and not itself:
        assert default is not None  # else there is no gain
        assert default.objective is not None
        share = 100 * found.gain / default.objective if default.objective else 0.0
        cards.append(_card("Gain over them", found.gain, "points", f"{share:.1f} % less error"))
    seeds = f", {len(search.seeds)} seeds each" if len(search.seeds) > 1 else ""
    finished = len(search.of("finished"))
    cards.append(
        {
            "label": "Trials finished",
            "value": f"{finished}",
            "unit": f"of {search.planned}",
            "run": f"{duration(sum(t.seconds for t in search.trials))} of training{seeds}",
        }
    )
    return {
        "cards": cards,
        "cautions": found.cautions,
        "itself": itself,
        "best": winner,
        "per_seed": _per_seed(search, found),
    }


def _card(label: str, value: float | None, unit: str, below: str, state: str = "finished") -> dict[str, str]:
    if value is None or state != "finished":
        return {"label": label, "value": ABSENT, "unit": state, "run": below}
    return {"label": label, "value": f"{value:.3f}", "unit": unit, "run": below}


def _per_seed(search: Search, found: Comparison) -> dict[str, Any] | None:
    """Best and default seed by seed; None with one seed."""
    trials = [("best", found.best), ("default", found.default)]
    rows = [
        (f"{label}, {t.name}", [f"{v:.3f}" for v in t.per_seed]) for label, t in trials if t and t.per_seed
    ]
    if len(search.seeds) < 2 or not rows:
        return None
    if found.per_seed:
        rows.append(("gain, points", [f"{v:+.3f}" for v in found.per_seed]))
    return {"seeds": search.seeds, "rows": rows}


def _values(search: Search) -> list[dict[str, Any]]:
    """Every key with the best trial's value beside the default's."""
    winner = best(search)
    return [
        {
            "key": key,
            "best": ABSENT if winner is None else show(winner.values[key]),
            "default": show(search.default[key]),
            "differs": winner is not None and not same(winner.values[key], search.default[key]),
            "space": describe(parameter),
        }
        for key, parameter in search.space.items()
    ]


def describe(parameter: ParameterConfig) -> str:
    """A parameter in words: ``1e-05 … 0.1, log``."""
    if parameter.type == "choice":
        return ", ".join(map(show, parameter.values))
    low, high = (
        (int(v) if parameter.type == "int" else v) for v in (parameter.low or 0, parameter.high or 0)
    )
    words = [f"{show(low)} … {show(high)}"]
    words += ["whole"] if parameter.type == "int" else []
    words += ["log"] if parameter.log else []
    words += [f"in steps of {parameter.step:g}"] if parameter.step else []
    return ", ".join(words)


def _failures(search: Search) -> list[dict[str, Any]]:
    """Reasons with the trials that failed for them, the most frequent first."""
    groups: dict[str, list[int]] = {}
    for trial in search.of("failed"):
        groups.setdefault(first_line(trial.reason, 400), []).append(trial.number)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[1]))
    return [{"reason": reason, "trials": ", ".join(map(str, numbers))} for reason, numbers in ordered]


def _rows(search: Search) -> list[dict[str, Any]]:
    """All trials: finished ones by objective, then running, pruned by how far they came, failed."""
    winner, default = best(search), default_trial(search)

    def order(trial: Trial) -> tuple[float, ...]:
        objective = trial.objective if trial.objective is not None else float("inf")
        return (_ORDER[trial.state], -trial.steps if trial.state == "pruned" else 0, objective, trial.number)

    return [
        {
            "trial": trial,
            "best": winner is not None and trial.number == winner.number,
            "default": default is not None and trial.number == default.number,
            "objective": ABSENT if trial.objective is None else f"{trial.objective:.3f}",
            "per_seed": " · ".join(f"{v:.2f}" for v in trial.per_seed) if len(search.seeds) > 1 else "",
            "values": [show(trial.values[key]) for key in search.space],
            "steps": f"{trial.steps:,}",
            "time": duration(trial.seconds),
            "reason": first_line(trial.reason, 300),
            "rest": (trial.reason or "").strip() if _longer(trial.reason) else "",
        }
        for trial in sorted(search.trials, key=order)
    ]


def _longer(reason: str | None) -> bool:
    return reason is not None and first_line(reason, 300) != reason.strip()


def _provenance(search: Search) -> list[tuple[str, str]]:
    facts: dict[str, Any] = {
        "search": search.name,
        "objective": f"mean NME, %, on {search.validation}",
        "seeds": list(search.seeds),
        "trials planned": search.planned,
        "steps of a whole trial": max((t.steps for t in search.of("finished")), default=None),
    }
    return list(flat(facts | search.provenance).items())
