"""Searches as real ones look: a noisy bowl of NME over six keys, trained in rungs, the worse two thirds pruned at each."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean

import numpy as np
import pytest

from pipeline.studies.search.trials import Search, Trial
from pipeline.training.config.tune import ParameterConfig

SPACE = {
    "optimizer.lr": ParameterConfig(type="float", low=1e-5, high=1e-1, log=True),
    "loss.beta": ParameterConfig(type="float", low=0.0, high=1.0),
    "model.width": ParameterConfig(type="int", low=4, high=64, log=True),
    "unlabelled.weight": ParameterConfig(type="float", low=1e-5, high=1e-1, log=True),
    "unlabelled.objective.name": ParameterConfig(
        type="choice", values=("adversarial", "consistency", "mean_teacher")
    ),
    "model.dropout": ParameterConfig(type="choice", values=(None, 0.1, 0.2)),
}
DEFAULT = {
    "optimizer.lr": 1e-3,
    "loss.beta": 0.5,
    "model.width": 16,
    "unlabelled.weight": 1e-3,
    "unlabelled.objective.name": "adversarial",
    "model.dropout": 0.2,
}
RUNGS = (400, 1200)
STEPS = 2000
FACTS = {
    "config_hash": "0123456789ab",
    "commit": "deadbeef",
    "dirty": False,
    "hardware": {"cpu": "some CPU", "cores": 2, "gpus": []},
    "versions": {"torch": "2.15", "optuna": "5.0"},
}


def nme(values: dict) -> float:
    """The bowl: the rate decides, then the width; weight and dropout do nothing."""
    rate = math.log10(values["optimizer.lr"]) + 2.8
    return (
        6.0
        + 0.9 * rate**2
        + 1.6 * (values["loss.beta"] - 0.35) ** 2
        - 0.35 * math.log2(values["model.width"])
        + {"adversarial": 0.1, "consistency": 0.0, "mean_teacher": 0.25}[values["unlabelled.objective.name"]]
    )


def draw(rng: np.random.Generator) -> dict:
    """Random values of ``SPACE``."""
    return {
        "optimizer.lr": float(10 ** rng.uniform(-5, -1)),
        "loss.beta": float(rng.uniform(0, 1)),
        "model.width": round(2 ** float(rng.uniform(2, 6))),
        "unlabelled.weight": float(10 ** rng.uniform(-5, -1)),
        "unlabelled.objective.name": str(rng.choice(["adversarial", "consistency", "mean_teacher"])),
        "model.dropout": (None, 0.1, 0.2)[int(rng.integers(3))],
    }


def make_search(
    trials: int, *, seed: int = 0, failed: tuple[int, ...] = (), seeds: int = 1, prune: bool = True, noise: float = 0.08
) -> Search:  # fmt: skip
    """A search of ``trials`` trials, the default first; those numbered in ``failed`` end by an error."""
    rng = np.random.default_rng(seed)
    made: list[Trial] = []
    for number in range(trials):
        values = dict(DEFAULT) if number == 0 else draw(rng)
        ends = [nme(values) + float(rng.normal(0, noise)) for _ in range(seeds)]
        end = fmean(ends)
        curve = [
            (at, end + 22 * math.exp(-at / 260) + 2e-4 * (STEPS - at)) for at in range(100, STEPS + 1, 100)
        ]
        curve[-1] = (STEPS, end)
        facts: dict = {"number": number, "name": f"tuned-{number:04d}", "values": values}
        if number in failed:
            reason = (
                "non-finite loss at step 212: optimizer.lr too high?\nTraceback …\n  step 212"
                if number % 2
                else "worker died: out of memory"
            )
            made.append(
                Trial(**facts, state="failed", reason=reason, steps=212, seconds=30.5, curve=tuple(curve[:2]))
            )
            continue
        stop = STEPS
        for rung in RUNGS if prune else ():
            others = sorted(n for t in made if t.state != "failed" and (n := t.at(rung)) is not None)
            here = dict(curve)[rung]
            if len(others) >= 2 and here > others[math.ceil(len(others) / 3) - 1]:
                stop = rung
                break
        reached = tuple((at, value) for at, value in curve if at <= stop)
        facts |= {
            "steps": stop,
            "seconds": 0.11 * stop * seeds,
            "curve": reached,
            "mlflow_run": f"{number:032x}",
        }
        if stop < STEPS:
            made.append(Trial(**facts, state="pruned", objective=reached[-1][1]))
        else:
            made.append(Trial(**facts, state="finished", objective=end, per_seed=tuple(ends)))
    return Search(
        name="tuned",
        space=SPACE,
        default=DEFAULT,
        trials=tuple(made),
        planned=max(trials, 1),
        seeds=tuple(range(seeds)),
        validation="300w-validation",
        provenance=FACTS,
    )


@pytest.fixture(scope="session")
def search_of() -> Callable[..., Search]:
    return make_search
