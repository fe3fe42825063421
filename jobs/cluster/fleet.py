"""Many runs of one driver: their events, their MLflow runs under one parent, their progress on one screen."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from jobs.cluster.board import Relay
from jobs.cluster.fit import fit
from jobs.cluster.monitor import figures, track
from jobs.cluster.progress import Display, Row
from pipeline.errors import ClusterError, TrainingError
from pipeline.training.config.cluster import ClusterConfig
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.run import Run, close, owned_run, ready
from pipeline.training.tracking import Tracker
from pipeline.words import counted


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
            f"a run needs {counted(cluster.workers, 'worker')} of {need} each, and the cluster holds {workers}: lower "
            "cluster.workers or cluster.cpus_per_worker, or use a larger cluster"
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
    config = ExperimentConfig.model_validate(raw)
    with owned_run(config):
        run = ready(config)
        ray.get(board.push.remote({"run": run.config.name, "opened": raw, "tags": tags}))
        if run.finished is None:
            fit(run.config, run.config_hash, run.folder, board)
        state = run.state()
    if state is None:
        raise TrainingError(f"{run.folder}: the workers ended without finishing the run")
    return state


@dataclass
class Member:
    """One run as the driver sees it."""

    run: Run
    tracker: Tracker
    row: Row
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
        self._verb, self._parent, self._console = verb, parent, console
        self.total, self.done = total, 0
        self.members: dict[str, Member] = {}
        # Events come in the relay's thread, ends in the driver's.
        self._lock = threading.RLock()
        self._display = Display(console)
        self._all = self._display.row(name, total, unit="runs")

    def __enter__(self) -> Fleet:
        self._display.__enter__()
        self._relay.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._relay.__exit__(*error)
        self._display.__exit__(*error)
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
                member.row.remove()

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
                before = self.members.get(event["run"])
                if before is not None and not before.ended:
                    before.row.remove()  # its process was started again
                self.members[event["run"]] = Member(run, tracker, self._display.row(f"  {run.config.name}"))
                return
            member = self.members.get(event["run"])
            if member is None or member.ended:
                return  # the last words of a worker whose run was stopped
            if "place" in event:
                member.place = event["place"]
                return
            member.step, member.steps = event["step"], event["steps"]
            member.latest |= event["metrics"]
            member.row.update(member.step, total=member.steps, note=figures(member.latest))
            track(member.tracker, event)

    def _end(self, name: str, status: str, **tags: str) -> None:
        with self._lock:
            member = self.members.get(name)
            if member is None or member.ended:
                return
            member.ended = True
            member.row.remove()
            for key, value in tags.items():
                member.tracker.client.set_tag(member.tracker.run_id, f"landmarks.{key}", value[:4000])
            member.tracker.end(status)
            if member.place is not None and status != "FINISHED":
                import ray.util

                # Stopped with its driver, a run leaves its workers' place taken, and the next one would wait for ever.
                ray.util.remove_placement_group(member.place)

    def _tick(self, _finished: bool) -> None:
        """Show where things stand."""
        with self._lock:
            running = [m for m in self.members.values() if not m.ended]
            share = sum(m.step / m.steps for m in running if m.steps)
            self._all.update(
                min(self.done + share, self.total), note=f"{self.done} done, {len(running)} running"
            )
        self._display.lines()
