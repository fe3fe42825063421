"""One trial of a search: its trainings, inside a process of Ray Tune's, and its record, read back by the driver."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.cluster.board import POLL_SECONDS, new_board
from jobs.cluster.fit import readable
from jobs.cluster.fleet import train_on_cluster
from pipeline.errors import TrackingError
from pipeline.inference.tracked import TrackedRun, tracked_run
from pipeline.shards.manifest import join
from pipeline.studies.search.plan import SearchPlan
from pipeline.studies.search.trials import Trial
from pipeline.training.config.experiment import ExperimentConfig

OBJECTIVE, PROGRESS, CURVE = "objective", "progress", "curve"
_BEST = "validation/best_nme"


@dataclass(frozen=True)
class TrialHost:
    """What a trial's process is told by the search's driver.

    Attributes:
        plan: Of the search.
        board: The driver's.
        path: ``search_path`` of the driver.
    """

    plan: SearchPlan
    board: Any
    path: list[str]


def run_trial(values: dict[str, Any], host: TrialHost) -> None:
    """What Ray Tune runs as one trial: a training per seed, the first of which ASHA judges.

    Args:
        values: The trial's.
        host: Of its driver.
    """
    from ray import tune

    plan = host.plan
    # What the others are compared with is trained to its end, however it begins.
    judged = values != plan.first
    per_seed: list[float] = []
    curve: list[tuple[int, float]] = []
    steps = 0
    for place, seed in enumerate(plan.seeds):
        training, tags = plan.training(values, seed), {"landmarks.trial": plan.trial_name(values)}
        for event in _events(training, host, tags):
            if "ended" in event:
                per_seed.append(event["ended"]["best"])
                steps = event["ended"]["step"]
                continue
            step, nme = event["step"], event["metrics"][_BEST]
            if place == 0:
                curve.append((step, nme))
            # The end is held back until all seeds are done: what the search compares is their mean.
            if place == 0 and judged and step < event["steps"]:
                tune.report(
                    {
                        OBJECTIVE: nme,
                        PROGRESS: 100 * step / event["steps"],
                        "step": step,
                        CURVE: json.dumps(curve),
                    }
                )
    tune.report(
        {
            OBJECTIVE: sum(per_seed) / len(per_seed),
            PROGRESS: 100.0,
            "step": steps,
            "per_seed": json.dumps(per_seed),
            CURVE: json.dumps(curve),
        }
    )


def _events(config: ExperimentConfig, host: TrialHost, tags: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Train, passing everything on to the driver's board; yields validations, and the end as ``ended``."""
    import ray

    board = new_board()
    ended: dict[str, Any] = {}
    failed: list[BaseException] = []

    def work() -> None:
        try:
            ended["ended"] = train_on_cluster(config.model_dump(mode="json"), board, host.path, tags)
        except BaseException as error:
            failed.append(error)

    # A daemon: when ASHA stops the trial, its process must end without waiting for the training.
    thread = threading.Thread(target=work, name=config.name, daemon=True)
    thread.start()
    while True:
        over = not thread.is_alive()
        for event in ray.get(board.take.remote()):
            host.board.push.remote(event)
            if _BEST in event.get("metrics", {}):
                yield event
        if over:
            break
        time.sleep(POLL_SECONDS)
    if failed:
        raise readable(failed[0])
    yield ended


def _tracked_curve(tracked: TrackedRun | None) -> dict[int, float]:
    """What MLflow has of a trial's first training: one that had ended when its search was killed reports nothing again."""
    if tracked is None:
        return {}
    try:
        return tracked.history(_BEST)
    except TrackingError:  # the search's own record is worth having without it
        return {}


def read_trial(result: Any, place: int, plan: SearchPlan) -> Trial:
    """A trial's record from Ray Tune's.

    Args:
        result: Ray Tune's.
        place: Among Ray Tune's results, whose order is another after a restart.
        plan: Of the search.
    """
    metrics = result.metrics or {}
    # Ray Tune puts the order of proposal into the name of a trial's folder.
    proposed = re.search(r"_[0-9a-f]{8}_(\d+)(_|$)", Path(result.path).name)
    name = plan.trial_name(result.config)
    # Kept beside the run: an earlier command may have tracked it.
    tracked = tracked_run(join(plan.folder, f"runs/{name}-s{plan.config.seed}"))
    curve = _tracked_curve(tracked)
    frame = result.metrics_dataframe
    # A resumed trial's curve begins after its checkpoint; what it reported before is in the rows before.
    for part in frame[CURVE] if frame is not None and CURVE in frame else ():
        curve |= {int(step): float(nme) for step, nme in json.loads(part)}
    per_seed = tuple(json.loads(metrics.get("per_seed", "[]")))
    finished = metrics.get(PROGRESS, 0) >= 100
    state = "finished" if finished else "failed" if result.error is not None else "pruned"
    return Trial(
        number=int(proposed[1]) - 1 if proposed else place,
        name=name,
        values=dict(result.config),
        state=state,
        objective=metrics.get(OBJECTIVE) if not result.error else None,
        per_seed=per_seed,
        steps=int(metrics.get("step", 0)),
        seconds=float(metrics.get("time_total_s", 0.0)),
        reason=str(readable(result.error)) if result.error is not None else None,
        curve=tuple(sorted(curve.items())),
        mlflow_run=tracked.run_id if tracked else None,
    )
