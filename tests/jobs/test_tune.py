"""``landmarks tune`` for real: Ray Tune, Optuna and ASHA over trials that are Ray Train runs; killed, resumed, reported."""

from __future__ import annotations

import json

import pytest
import yaml

from pipeline.studies.search.charts import charts
from pipeline.studies.search.trials import read_search

SPACE = {
    # The last one makes training diverge: a trial that fails must not take the search with it.
    "optimizer.lr": {"type": "choice", "values": [0.001, 0.004, 1e30]},
    "loss.true_scale": {"type": "float", "low": 0.5, "high": 2.0, "log": True},
}


@pytest.fixture(params=[1, pytest.param(2, marks=pytest.mark.slow)], ids=["one seed", "two seeds"])
def seeds(request) -> int:
    return request.param


@pytest.fixture
def search(tmp_path, toy_experiment, seeds):
    toy_experiment["unlabelled"] = {"objective": None}
    toy_experiment["tune"] = {
        "space": SPACE,
        "trials": 3,
        "seeds": seeds,
        # Its first three: the config itself, one that diverges, one that learns.
        "sampler_seed": 15,
        "startup_trials": 6,
        "grace": 0.3,
        "storage": str(tmp_path / "tune"),
    }
    return toy_experiment


def children(uri: str, parent: str) -> list:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("landmarks")
    if experiment is None:
        return []
    return client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'")


@pytest.mark.cluster
def test_search_is_killed_resumed_and_reported(
    tmp_path, search, seeds, landmarks, lone_landmarks, in_process
):
    path, folder = tmp_path / "search.yaml", tmp_path / "tune" / "toy"
    search["tracking"]["register_as"] = "toy-faces"
    path.write_text(yaml.safe_dump(search))
    runs = folder / "runs"

    def finished() -> set[str]:
        return {f.parent.name for f in runs.glob("*/finished.json")}

    def one_trial_done() -> bool:
        stems = [name.rsplit("-s", 1)[0] for name in finished()]
        return any(stems.count(stem) == seeds for stem in stems)

    def traces() -> dict[str, list[int]]:
        lines = {f.parent.parent.name: f.read_text().splitlines() for f in runs.glob("*/trace/rank0.jsonl")}
        return {name: [json.loads(line)["step"] for line in run] for name, run in lines.items()}

    def diverging() -> list[str]:
        return [f.parent.name for f in runs.glob("*/config.yaml") if "lr: 1.0e+30" in f.read_text()]

    def tried_once() -> bool:
        return [0] in [traces().get(name) for name in diverging()]

    # The one that diverges has its try, a step long.
    lone_landmarks.kill_when(lambda: one_trial_done() and tried_once(), "tune", str(path))
    before = {name: (runs / name / "finished.json").stat().st_mtime_ns for name in finished()}
    (tried,) = diverging()
    assert traces()[tried] == [0]
    assert not (folder / "best.yaml").exists()

    landmarks.run("tune", str(path))
    # Trials that failed are tried again; what had finished is left alone.
    assert traces()[tried] == [0, 0]
    assert {n: (runs / n / "finished.json").stat().st_mtime_ns for n in before} == before

    record = read_search(str(folder / "search.json"))
    assert len(record.trials) == 3
    states = {t.state for t in record.trials}
    assert "finished" in states
    # Trial 0 is the config itself.
    assert record.trials[0].values == {"optimizer.lr": 0.001, "loss.true_scale": 1.0} == record.default
    diverged = [t for t in record.trials if t.values["optimizer.lr"] == 1e30]
    assert diverged
    assert all(t.state == "failed" and t.reason.startswith("step ") for t in diverged)
    assert all("loss is nan" in t.reason and "Traceback" not in t.reason for t in diverged)
    for trial in record.of("finished"):
        # The objective is the mean over the seeds of what the runs themselves wrote down.
        ends = [json.loads((runs / f"{trial.name}-s{i}" / "finished.json").read_text()) for i in range(seeds)]
        assert trial.per_seed == pytest.approx([end["best"] for end in ends])
        assert trial.objective == pytest.approx(sum(end["best"] for end in ends) / seeds)
        assert trial.steps == 12
    # ASHA never judges the second seed: a pruned trial has none.
    for trial in record.of("pruned"):
        assert not (runs / f"{trial.name}-s1" / "finished.json").exists()

    best = min(record.of("finished"), key=lambda t: t.objective)
    written = yaml.safe_load((folder / "best.yaml").read_text())
    assert written["optimizer"]["lr"] == best.values["optimizer.lr"]
    assert written["loss"]["true_scale"] == best.values["loss.true_scale"]
    assert "12 = 1.6 epochs" in in_process("train", str(folder / "best.yaml"), "--dry-run")

    ids = json.loads((folder / "mlflow.json").read_text())
    tracked = children(ids["uri"], ids["run_id"])
    names = [r.info.run_name for r in tracked]
    assert len(names) == len(set(names))
    assert set(names) == {f.name for f in runs.iterdir()}
    assert all(r.info.status != "RUNNING" for r in tracked)
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=ids["uri"])
    assert client.get_run(ids["run_id"]).info.status == "FINISHED"
    version = client.get_model_version_by_alias("toy-faces", "best")
    assert client.get_run(version.run_id).info.run_name == f"{best.name}-s0"

    page = (folder / "report.html").read_text()
    assert best.name in page
    # Which trials ASHA prunes is a matter of their order in time, and with it what there is to compare.
    drawn = charts(record)
    assert {"History", "Learning curves"} <= {chart.title for chart in drawn if chart.images}
    # Also of a trial whose trainings had ended when the search was killed.
    assert all(len(trial.curve) >= 2 for trial in record.of("finished"))
    assert all(trial.curve[-1][0] == 12 for trial in record.of("finished"))
    assert page.count("data:image/svg+xml") == sum(len(chart.images) for chart in drawn)

    # A search keeps its config.
    assert "choose another name" in in_process("tune", str(path), "tune.trials=7", code=2)
