"""The record of a search: every trial with its values, objective, curve and, where it failed, why. JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import DataError
from pipeline.storage import open_text, write_text
from pipeline.strict import Strict
from pipeline.training.config.tune import ParameterConfig, Value

FORMAT = "landmark-pipeline/search"
VERSION = 1

State = Literal["finished", "pruned", "failed", "running"]
STATES: tuple[State, ...] = ("finished", "running", "pruned", "failed")
"""In the order in which people want to read them."""


class Record(Strict):
    """Without NaN: JSON has none, and a trial without an objective says None."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Trial(Record):
    """One configuration, trained once per seed."""

    number: int = Field(ge=0, description="order of proposal")
    name: str = Field(description="run name")
    values: dict[str, Value] = Field(description="dotted key → value")
    state: State
    objective: float | None = Field(
        None, ge=0, description="validation NME, %, mean over seeds; of a pruned trial: where it stopped"
    )
    per_seed: tuple[float, ...] = Field((), description="validation NME, %, in the order of Search.seeds")
    steps: int = Field(0, ge=0, description="optimizer steps trained, of one seed")
    seconds: float = Field(0.0, ge=0, description="wall time, all seeds")
    reason: str | None = Field(None, description="why it failed")
    curve: tuple[tuple[int, float], ...] = Field(
        (), description="(step, best validation NME so far in %), mean over seeds, steps ascending"
    )
    mlflow_run: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Trial:
        if self.state == "finished" and self.objective is None:
            raise ValueError(f"trial {self.number} is finished, but has no objective")
        if self.state == "failed" and not self.reason:
            raise ValueError(f"trial {self.number} failed, but says no reason")
        if any(a >= b for (a, _), (b, _) in zip(self.curve, self.curve[1:], strict=False)):
            raise ValueError(f"trial {self.number}: the steps of its curve do not ascend")
        if self.state == "finished" and self.per_seed:
            assert self.objective is not None  # checked above
            mean = sum(self.per_seed) / len(self.per_seed)
            if not math.isclose(mean, self.objective, rel_tol=1e-4):
                raise ValueError(
                    f"trial {self.number}: objective {self.objective} is not the mean of its seeds, {mean}"
                )
        return self

    def at(self, step: int) -> float | None:
        """Best validation NME, %, up to a step; None where the trial was not yet measured or ended before it."""
        if not self.curve or step > self.curve[-1][0]:
            return None
        known = [nme for at, nme in self.curve if at <= step]
        return known[-1] if known else None


class Search(Record):
    """A search, finished or under way."""

    format: Literal["landmark-pipeline/search"] = "landmark-pipeline/search"
    version: Literal[1] = 1
    name: str
    space: dict[str, ParameterConfig] = Field(min_length=1)
    default: dict[str, Value] = Field(description="the config's own values of the keys")
    trials: tuple[Trial, ...]
    planned: int = Field(ge=1, description="trials asked for")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="one training per trial and seed")
    validation: str = Field("the held-out split", description="name of the set the objective is measured on")
    provenance: dict[str, Any] = Field(
        {}, description="config hash, commit, versions, hardware, MLflow run, …"
    )

    @model_validator(mode="after")
    def _whole(self) -> Search:
        keys = set(self.space)
        for whose, values in [("default", self.default)] + [
            (f"trial {t.number}", t.values) for t in self.trials
        ]:
            if set(values) != keys:
                odd = ", ".join(sorted(keys ^ set(values)))
                raise ValueError(f"{whose} and the space do not have the same keys: {odd}")
        numbers = [t.number for t in self.trials]
        if len(set(numbers)) != len(numbers):
            raise ValueError("two trials have the same number")
        return self

    def of(self, *states: State) -> list[Trial]:
        """Trials in one of the states, by number."""
        return sorted((t for t in self.trials if t.state in states), key=lambda t: t.number)


def write_search(search: Search, url: str) -> None:
    """Write the record as JSON, atomically; local path or URL."""
    write_text(url, search.model_dump_json(indent=1) + "\n")


def read_search(url: str) -> Search:
    """Read a record.

    Raises:
        DataError: Missing, not JSON, of another format or version, or inconsistent.
    """
    try:
        with open_text(url) as file:
            raw = json.load(file)
    except FileNotFoundError as error:
        raise DataError(f"{url}: no such search; run 'landmarks tune' first, or correct the path") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{url}: not JSON ({error}); run 'landmarks tune' again, it writes it anew"
        ) from error
    except OSError as error:
        raise DataError(f"{url}: cannot read: {error.strerror or error}; correct the path") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise DataError(f"{url}: field 'format' is not '{FORMAT}': this is no search of this project")
    if raw.get("version") != VERSION:
        raise DataError(
            f"{url}: field 'version' is {raw.get('version')!r}, this release reads version {VERSION}; "
            "run 'landmarks tune' again, it writes it anew"
        )
    try:
        return Search.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "whole"
        raise DataError(f"{url}: field '{where}': {first['msg']}") from error


def write_csv(search: Search, url: str) -> None:
    """Write one row per trial, atomically. Of pruned trials the objective is where they stopped: filter by state."""
    keys = list(search.space)
    seeds = [f"nme_percent_seed_{seed}" for seed in search.seeds] if len(search.seeds) > 1 else []
    facts = ["number", "name", "state", "objective_nme_percent", *seeds, "steps", "seconds"]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*facts, *keys, "reason", "mlflow_run"])
    for t in sorted(search.trials, key=lambda t: t.number):
        per_seed = [*t.per_seed, *[None] * len(seeds)][: len(seeds)]
        row = [t.number, t.name, t.state, t.objective, *per_seed, t.steps, t.seconds]
        # null and true as in the YAML: an empty cell would be an empty string.
        values = [json.dumps(v) if v is None or isinstance(v, bool) else v for v in t.values.values()]
        by_key = dict(zip(t.values, values, strict=True))
        rows.writerow([*row, *(by_key[k] for k in keys), t.reason, t.mlflow_run])
    write_text(url, text.getvalue())
