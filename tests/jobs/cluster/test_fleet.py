"""How many runs a cluster holds at once; and many runs as their driver sees them."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from jobs.cluster.fleet import Fleet, runs_at_once
from pipeline.errors import ClusterError
from pipeline.training.config.cluster import ClusterConfig


@pytest.mark.parametrize(
    ("cluster", "nodes", "wanted", "expected"),
    [
        ({}, [{"CPU": 2.0}], None, 2),
        ({}, [{"CPU": 2.0}], 1, 1),
        ({}, [{"CPU": 2.0}], 9, 2),
        ({"workers": 2}, [{"CPU": 2.0}, {"CPU": 3.0}], None, 2),
        # Three cores a worker: four and four hold two workers, not eight thirds.
        ({"cpus_per_worker": 3}, [{"CPU": 4.0}, {"CPU": 4.0}], None, 2),
        ({"gpu": True, "cpus_per_worker": 4}, [{"CPU": 64.0, "GPU": 4.0}, {"CPU": 8.0}], None, 4),
        ({"gpu": True, "gpus_per_worker": 0.25}, [{"CPU": 64.0, "GPU": 2.0}], None, 8),
        # 0.1 has no exact binary form; ten of them still fit.
        ({"gpu": True, "gpus_per_worker": 0.1}, [{"CPU": 64.0, "GPU": 1.0}], None, 10),
    ],
)
def test_runs_never_wait_for_workers_another_one_holds(cluster, nodes, wanted, expected):
    assert runs_at_once(ClusterConfig(**cluster), nodes, wanted) == expected


def test_a_cluster_too_small_for_one_run_says_what_it_lacks():
    with pytest.raises(ClusterError, match=r"2 workers of 1 CPU, 1 GPU each, and the cluster holds 1"):
        runs_at_once(ClusterConfig(workers=2, gpu=True), [{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0}], None)


class Tracker:
    """Stands for a run in MLflow: keeps what it is told."""

    def __init__(self, name: str, verb: str, parent: str | None, tags: dict[str, str]) -> None:
        self.run_id, self.verb, self.parent, self.tags = f"id-{name}", verb, parent, dict(tags)
        self.steps: list[int] = []
        self.ends: list[str] = []
        self.refuses = False
        self.client = SimpleNamespace(set_tag=lambda _run, key, value: self.tags.__setitem__(key, value))

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.steps.append(step)

    def end(self, status: str) -> None:
        if self.refuses:
            raise ConnectionError("MLflow is gone")
        self.ends.append(status)


class Line:
    """A board without Ray, which has its own tests: what is put on it is there for the next look."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.take = SimpleNamespace(remote=self._take)

    def _take(self) -> list[dict[str, Any]]:
        events, self.events = self.events, []
        return events

    def open(self, name: str, **tags: str) -> None:
        raw = {"name": name, "data": {"train": "t", "validation": "v"}}
        self.events += [{"run": name, "opened": raw, "tags": tags}]

    def step(self, name: str, step: int) -> None:
        self.events += [{"run": name, "step": step, "steps": 100, "metrics": {"train/loss": 1.0}}]


@pytest.fixture
def crew(monkeypatch):
    """A fleet on a plain board, whose runs need no prepared sets."""
    import ray

    import jobs.cluster.fleet as module

    board, out, trackers, closed = Line(), io.StringIO(), {}, []

    def ready(config: Any) -> Any:
        def tracker(verb: str, parent: str, **tags: str) -> Tracker:
            return trackers.setdefault(config.name, Tracker(config.name, verb, parent, tags))

        return SimpleNamespace(config=config, tracker=tracker)

    def close(run: Any, tracker: Tracker) -> None:
        closed.append(run.config.name)
        tracker.end("FINISHED")

    monkeypatch.setattr(ray, "get", lambda events, timeout=None: events)
    monkeypatch.setattr(module, "ready", ready)
    monkeypatch.setattr(module, "close", close)
    parent = SimpleNamespace(run_id="id-parent")
    fleet = Fleet(board, "study", "scale", parent, 3, Console(file=out, width=200))  # type: ignore[arg-type]
    return SimpleNamespace(fleet=fleet, board=board, out=out, trackers=trackers, closed=closed)


def test_every_run_is_tracked_apart_under_one_parent(crew):
    with crew.fleet as fleet:
        crew.board.open("a", trial="t1")
        crew.board.open("b")
        for name, step in (("a", 10), ("b", 20), ("a", 30)):
            crew.board.step(name, step)
        fleet.finish("a")
        fleet.end("b", "FAILED", reason="x" * 9000)
    a, b = crew.trackers["a"], crew.trackers["b"]
    assert (a.verb, a.parent, a.tags, a.steps, a.ends) == (
        "scale",
        "id-parent",
        {"trial": "t1"},
        [10, 30],
        ["FINISHED"],
    )
    assert (b.steps, b.ends) == ([20], ["FAILED"])
    assert 100 < len(b.tags["landmarks.reason"]) <= 5000  # MLflow's limit
    assert crew.closed == ["a"]


def test_an_end_comes_after_what_the_run_said(crew):
    # No thread looks at the board here: only ends do.
    crew.board.open("a")
    crew.board.step("a", 100)
    crew.fleet.finish("a")
    assert (crew.trackers["a"].steps, crew.trackers["a"].ends) == ([100], ["FINISHED"])
    # What a stopped worker still says changes nothing, nor does a second end.
    crew.board.step("a", 101)
    crew.fleet.end("a", "KILLED")
    assert (crew.trackers["a"].steps, crew.trackers["a"].ends) == ([100], ["FINISHED"])


def test_a_run_nobody_opened_is_no_problem(crew):
    crew.board.step("stranger", 1)
    crew.fleet.end("stranger", "KILLED")
    crew.fleet.finish("stranger")
    assert not crew.trackers


def test_a_run_that_begins_again_is_followed_again(crew):
    crew.board.open("a")
    crew.board.step("a", 10)
    crew.fleet.end("a", "FAILED")
    crew.board.open("a")
    crew.board.step("a", 20)
    crew.fleet.finish("a")
    assert (crew.trackers["a"].steps, crew.trackers["a"].ends) == ([10, 20], ["FAILED", "FINISHED"])


def interrupted(crew) -> None:
    with crew.fleet:
        for name in ("a", "b", "c"):
            crew.board.open(name)
        crew.fleet.finish("a")
        crew.trackers["b"].refuses = True
        raise SystemExit(1)


def test_what_is_cut_short_is_killed_even_if_mlflow_refuses_one(crew):
    with pytest.raises(SystemExit):
        interrupted(crew)
    assert [crew.trackers[n].ends for n in ("a", "b", "c")] == [["FINISHED"], [], ["KILLED"]]
    assert "MLflow is gone" in crew.out.getvalue()


def test_a_run_that_cannot_be_handed_over_can_still_be_ended_as_failed(crew, monkeypatch):
    import jobs.cluster.fleet as module

    def refuse(_run: Any, _tracker: Any) -> None:
        raise ConnectionError("MLflow is gone")

    monkeypatch.setattr(module, "close", refuse)
    crew.board.open("a")
    with pytest.raises(ConnectionError):
        crew.fleet.finish("a")
    crew.fleet.end("a", "FAILED", reason="MLflow is gone")
    assert crew.trackers["a"].ends == ["FAILED"]


def test_the_place_of_a_stopped_run_is_freed_and_a_finished_ones_left(crew, monkeypatch):
    import ray.util

    freed: list[str] = []
    monkeypatch.setattr(ray.util, "remove_placement_group", freed.append)
    for name in ("a", "b", "c"):
        crew.board.open(name)
        crew.board.events.append({"run": name, "place": f"place-{name}"})
    crew.fleet.end("a", "KILLED")
    crew.fleet.end("b", "FINISHED")
    crew.fleet.end("c", "FAILED")
    assert freed == ["place-a", "place-c"]


def test_progress_in_a_log(crew):
    with crew.fleet as fleet:
        crew.board.open("a")
        crew.board.step("a", 50)
        fleet.done = 1
    last = crew.out.getvalue().strip().splitlines()[-2:]
    assert last[0].startswith("study: 1.5/3 runs · 1 done, 1 running")
    assert last[1].startswith("  a: 50/100 steps · loss 1.000")


def test_a_run_that_has_ended_is_shown_no_more(crew):
    with crew.fleet as fleet:
        for name in ("a", "b"):
            crew.board.open(name)
            crew.board.step(name, 50)
        fleet.finish("a")
        fleet.done = 1
        crew.board.open("b")  # its process was started again
        crew.board.step("b", 20)
    assert [line.split(":")[0] for line in crew.out.getvalue().splitlines()] == ["study", "  b"]
    assert "  b: 20/100 steps" in crew.out.getvalue()
