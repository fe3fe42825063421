"""Many runs of one driver: their events, their MLflow runs under one parent, their progress on one screen."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from jobs.cluster.board import Relay
from jobs.cluster.fit import fit
from jobs.cluster.monitor import PLAIN_LINE_SECONDS, figures, track
from pipeline.errors import ClusterError
from pipeline.training.config.cluster import ClusterConfig
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.run import Run, close, ready
from pipeline.training.tracking import Tracker


def runs_at_once(cluster: ClusterConfig, nodes: list[dict[str, float]], wanted: int | None) -> int:
    """How many runs a cluster holds at a time, so that none waits for workers another one holds.

    Args:
        cluster: Of one run.
        nodes: Resources of each node, as Ray names them.
        wanted: Upper limit, or None.

    Raises:
        ClusterError: Not even one fits.
    """
    per_worker = {"CPU": float(cluster.cpus_per_worker)}
    if cluster.gpu:
        per_worker["GPU"] = cluster.gpus_per_worker
    # A worker lies on one node: what is left over on two nodes does not add up to one.
    workers = sum(
        int(min((node.get(name, 0.0) + 1e-6) // need for name, need in per_worker.items())) for node in nodes
    )
    possible = workers // cluster.workers
    if not possible:
        need = ", ".join(f"{amount:g} {name}" for name, amount in per_worker.items())
        raise ClusterError(
            f"a run needs {cluster.workers} worker(s) of {need} each, and the cluster holds {workers}: lower cluster.workers "
            "or cluster.cpus_per_worker, or use a larger cluster"
        )
    return min(possible, wanted or possible)


def alive_nodes() -> list[dict[str, float]]:
    """Resources of the cluster's nodes."""
    import ray

    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def search_path() -> list[str]:
    """Where this process finds parts of the user's own; processes it starts on a cluster are given it."""
    return [p for p in (str(Path.cwd()), *os.environ.get("PYTHONPATH", "").split(os.pathsep)) if p]


def train_on_cluster(
    raw: dict[str, Any], board: Any, path: list[str], tags: dict[str, str]
) -> dict[str, Any]:
    """Train one run of many, in a Ray process of its own; the driver hears of it by the board.

    Args:
        raw: Config, plain.
        board: The driver's.
        path: ``search_path`` of the driver.
        tags: For its MLflow run.

    Returns:
        Where the run stood at its end.

    Raises:
        LandmarkError: What a user can act on.
    """
    import ray

    sys.path[:0] = [p for p in path if p not in sys.path]
    os.environ["PYTHONPATH"] = os.pathsep.join(path)
    run = ready(ExperimentConfig.model_validate(raw))
    ray.get(board.push.remote({"run": run.config.name, "opened": raw, "tags": tags}))
    if run.finished is None:
        fit(run.config, run.config_hash, run.folder, board)
    state = run.state()
    if state is None:
        from pipeline.errors import TrainingError

        raise TrainingError(f"{run.folder}: the workers ended without finishing the run")
    return state


@dataclass
class Member:
    """One run as the driver sees it."""

    run: Run
    tracker: Tracker
    step: int = 0
    steps: int = 0
    latest: dict[str, float] = field(default_factory=dict)
    ended: bool = False
    place: Any = None  # the workers' placement group


class Fleet:
    """What the driver of many runs knows of them: takes the board's events while its block runs.

    Args:
        board: The runs' board.
        name: Of the search or study.
        verb: For the runs' tags.
        parent: Its MLflow run.
        total: Runs expected.
        console: Where progress goes.
    """

    def __init__(
        self, board: Any, name: str, verb: str, parent: Tracker, total: int, console: Console
    ) -> None:
        self._relay = Relay(board, self._handle, self._tick)
        self._name, self._verb, self._parent, self._console = name, verb, parent, console
        self.total, self.done = total, 0
        self.members: dict[str, Member] = {}
        # Events come in the relay's thread, ends in the driver's.
        self._lock = threading.RLock()
        self._began = time.monotonic()
        self._last_line = 0.0
        self._status = console.status(f"[bold]{name}[/bold]: starting …") if console.is_terminal else None

    def __enter__(self) -> Fleet:
        if self._status is not None:
            self._status.start()
        self._relay.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._relay.__exit__()
        if self._status is not None:
            self._status.stop()
        problem = self._relay.problem
        for name in list(self.members):
            # Whatever has not ended was cut short; one that MLflow refuses must hide neither the others nor what ended the block.
            try:
                self._end(name, "KILLED")
            except Exception as error:
                problem = error
        if problem is not None:
            self._console.print(
                f"some of what the runs said was not shown or logged: {problem}", style="yellow", markup=False
            )

    def finish(self, name: str) -> None:
        """A run has finished: hand its models over and end its MLflow run."""
        self._relay.drain()
        with self._lock:
            member = self.members.get(name)
            if member is not None and not member.ended:
                # Ended only after that: a run that cannot be handed over has not finished, and its caller says how it ended.
                close(member.run, member.tracker)
                member.ended = True

    def end(self, name: str, status: str, **tags: str) -> None:
        """A run has ended otherwise: FAILED or KILLED, or FINISHED as a trial whose model nobody asked for."""
        self._relay.drain()
        self._end(name, status, **tags)

    def _handle(self, event: dict[str, Any]) -> None:
        """Take an event of a run."""
        with self._lock:
            if "opened" in event:
                run = ready(ExperimentConfig.model_validate(event["opened"]))
                tracker = run.tracker(self._verb, self._parent.run_id, **event["tags"])
                self.members[event["run"]] = Member(run, tracker)
                return
            member = self.members.get(event["run"])
            if member is None or member.ended:
                return  # the last words of a worker whose run was stopped
            if "place" in event:
                member.place = event["place"]
                return
            member.step, member.steps = event["step"], event["steps"]
            member.latest |= event["metrics"]
            track(member.tracker, event)

    def _end(self, name: str, status: str, **tags: str) -> None:
        with self._lock:
            member = self.members.get(name)
            if member is None or member.ended:
                return
            member.ended = True
            for key, value in tags.items():
                member.tracker.client.set_tag(member.tracker.run_id, f"landmarks.{key}", value[:4000])
            member.tracker.end(status)
            if member.place is not None and status != "FINISHED":
                import ray.util

                # Stopped with its driver, a run leaves its workers' place taken, and the next one would wait for ever.
                ray.util.remove_placement_group(member.place)

    def _tick(self, finished: bool) -> None:
        """Show where things stand."""
        with self._lock:
            active = [m for m in self.members.values() if not m.ended]
            line = f"{self._name}: {self.done}/{self.total} done, {len(active)} running"
            shown = [f"  {m.run.config.name}: step {m.step}/{m.steps} · {figures(m.latest)}" for m in active]
            line += self._remaining()
        if self._status is not None:
            self._status.update("\n".join([line, *shown]))
            return
        now = time.monotonic()
        if finished or now - self._last_line > PLAIN_LINE_SECONDS:
            self._last_line = now
            for text in [line, *shown]:
                self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def _remaining(self) -> str:
        began = [m for m in self.members.values() if m.steps]
        parts = sum(1.0 if m.ended else m.step / m.steps for m in began)
        spent = time.monotonic() - self._began
        if parts < 0.05:
            return ""
        left = max(self.total - self.done, 0) - sum(m.step / m.steps for m in began if not m.ended)
        return f", about {max(left, 0) * spent / parts / 60:.0f} min left"
