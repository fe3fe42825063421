"""A real MLflow store in a SQLite file: one run, continued after a restart, readable by MLflow's own client."""

import contextlib
import io
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import fsspec
import pytest
from PIL import Image

from pipeline.errors import TrackingError
from pipeline.storage import write_text
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.tracking import Tracker, _origin


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store, the folder of a run in it, and a way to start (or restart) that run."""
    root = tmp_path_factory.mktemp("tracking")
    config = TrackingConfig(
        uri=f"sqlite:///{root}/db/mlflow.db", experiment="tests", artifacts=str(root / "artifacts")
    )

    def start(folder: str, parameters=None, tags=None) -> Tracker:
        return Tracker(config, folder, str(root / folder), parameters or {}, tags or {})

    return SimpleNamespace(root=root, config=config, start=start)


@pytest.fixture(scope="module")
def client(store):
    store.start("first")  # creates the data base
    import mlflow

    return mlflow.MlflowClient(tracking_uri=store.config.uri)


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_run_is_created_once_and_continued_after_a_restart(store, client):
    parameters = {f"p{i}": i for i in range(150)} | {"long": "x" * 9000, "none": None}
    first = store.start("continued", parameters, {"verb": "train"})
    first.metrics({"train/loss": 2.0}, step=10)
    first.end("FAILED")
    # A restart knows the run by its folder alone; parameters, which MLflow never lets change, are not logged again.
    second = store.start("continued", {"p0": "changed"}, {"verb": "resume"})
    assert second.run_id == first.run_id
    second.resume()
    assert client.get_run(first.run_id).info.status == "RUNNING"
    second.metrics({"train/loss": 1.0}, step=20)
    second.end("FINISHED")
    run = client.get_run(first.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "continued"
    assert run.data.tags["verb"] == "resume"
    assert len(run.data.params) == 152
    assert (run.data.params["p0"], run.data.params["none"]) == ("0", "None")
    assert set(run.data.params["long"]) == {"x"}
    history = [(m.step, m.value) for m in client.get_metric_history(first.run_id, "train/loss")]
    assert history == [(10, 2.0), (20, 1.0)]
    experiment = client.get_experiment_by_name("tests")
    named = [r for r in client.search_runs([experiment.experiment_id]) if r.info.run_name == "continued"]
    assert len(named) == 1


def times(client, run: Tracker) -> tuple[str, int, int | None]:
    info = client.get_run(run.run_id).info
    return info.status, info.start_time, info.end_time


def test_a_run_keeps_its_end_until_work_goes_on(store, client):
    first = store.start("ended")
    first.end("FINISHED")
    ended = times(client, first)
    time.sleep(0.01)
    again = store.start("ended")
    again.text("x", "late.txt")
    assert times(client, again) == ended
    again.end("FAILED")
    again.end("FINISHED")
    assert times(client, again) == ended
    again.resume()
    assert times(client, again)[0] == "RUNNING"
    # As after a lost driver: what is under way has no end to keep.
    lost = store.start("ended")
    lost.end("FINISHED")
    assert times(client, lost)[2] > ended[2]


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED"), (OSError, "FAILED")],
)
def test_a_run_ends_with_its_block(store, client, error, status):
    run = store.start(f"block-{status}-{error}")
    with contextlib.suppress(BaseException), run.ending():
        if error is not None:
            raise error
    assert times(client, run)[0] == status


def test_a_deleted_run_says_what_to_do(store, client):
    client.delete_run(store.start("deleted").run_id)
    with pytest.raises(TrackingError, match=r"deleted/mlflow\.json: .*remove it"):
        store.start("deleted")


@pytest.fixture
def origin(monkeypatch):
    """Nobody, from nowhere, until a test says otherwise."""
    known = {"commit": None, "dirty": None}
    monkeypatch.setattr("pipeline.evaluation.provenance.commit", lambda: known)
    _origin.cache_clear()
    yield known
    _origin.cache_clear()


def test_a_new_run_says_who_began_it_and_from_which_commit(store, client, origin, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    origin |= {"commit": "c0ffee", "dirty": True}
    run = store.start("origin")
    _origin.cache_clear()
    monkeypatch.setenv("LOGNAME", "bob")
    store.start("origin")  # who looks at it later did not begin it
    tags = client.get_run(run.run_id).data.tags
    assert tags["mlflow.user"] == "ada"
    assert (tags["mlflow.source.git.commit"], tags["mlflow.source.git.dirty"]) == ("c0ffee", "True")


def test_a_run_of_a_user_without_a_name(store, client, origin, monkeypatch):
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr("getpass.getuser", nameless)
    tags = client.get_run(store.start("nameless").run_id).data.tags
    assert not {"mlflow.user", "mlflow.source.git.commit", "mlflow.source.git.dirty"} & set(tags)


def test_several_metrics_of_a_step_and_none(store, client):
    run = store.start("metrics")
    run.metrics({"a": 1, "b/c": 2.5}, step=3)
    run.metrics({}, step=4)
    assert client.get_run(run.run_id).data.metrics == {"a": 1.0, "b/c": 2.5}


def test_text_files_and_images_are_artifacts(store, client, tmp_path):
    import mlflow

    run = store.start("artifacts")
    run.text("name: ä\n", "config.yaml")
    run.image("faces/step-10.png", png("red"))
    models = tmp_path / "models"
    (models / "best").mkdir(parents=True)
    (models / "best" / "model.json").write_text("{}")
    run.file(str(models), "models")
    run.file(str(models / "best" / "model.json"))
    names = {f.path for f in client.list_artifacts(run.run_id)}
    assert {"config.yaml", "faces", "models", "model.json"} <= names
    assert [f.path for f in client.list_artifacts(run.run_id, "models/best")] == ["models/best/model.json"]
    uri = client.get_run(run.run_id).info.artifact_uri
    assert mlflow.artifacts.load_text(f"{uri}/config.yaml") == "name: ä\n"
    with Image.open(f"{uri.removeprefix('file://')}/faces/step-10.png") as image:
        assert image.size == (4, 3)
        assert image.convert("RGB").getpixel((1, 1)) == (255, 0, 0)
    assert str(store.root / "artifacts") in uri


def test_another_store_is_another_run(store, client, tmp_path):
    run = store.start("moved")
    known = store.root / "moved" / "mlflow.json"
    assert json.loads(known.read_text()) == {"uri": store.config.uri, "run_id": run.run_id}
    known.write_text(json.dumps({"uri": "http://elsewhere:5000", "run_id": "of-elsewhere"}))
    again = store.start("moved")
    assert again.run_id != run.run_id
    assert json.loads(known.read_text())["run_id"] == again.run_id


@pytest.mark.parametrize("content", ["{", "[]", '{"run_id": "x"}', ""])
def test_a_damaged_note_of_the_run_is_named(store, client, content):
    folder = store.root / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / "mlflow.json").write_text(content)
    with pytest.raises(TrackingError, match=r"damaged/mlflow\.json: .*remove it"):
        store.start("damaged")


def test_a_run_that_the_store_has_lost_says_what_to_do(store, client):
    folder = store.root / "lost"
    folder.mkdir()
    (folder / "mlflow.json").write_text(json.dumps({"uri": store.config.uri, "run_id": "0" * 32}))
    with pytest.raises(TrackingError, match=r"lost/mlflow\.json: .*remove it"):
        store.start("lost")


def test_an_unwritable_store_is_a_tracking_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    config = TrackingConfig(uri=f"sqlite:///{tmp_path}/file/mlflow.db")
    with pytest.raises(TrackingError, match=r"tracking\.uri = sqlite:///.*file/mlflow.db"):
        Tracker(config, "x", str(tmp_path / "run"), {}, {})


_TRACK = """
import sys
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.tracking import Tracker
root, name = sys.argv[1:]
Tracker(TrackingConfig(uri=f"sqlite:///{root}/mlflow.db"), name, f"{root}/{name}", {"p": 1}, {}).end("FINISHED")
"""


def test_commands_started_together_share_a_new_store(tmp_path):
    """Its tables and its experiment are made once; each command has its run."""
    names = {"one", "two", "three"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _TRACK, str(tmp_path), name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in names
    ]
    for process in started:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    experiments = [e for e in client.search_experiments() if e.name != "Default"]
    assert len(experiments) == 1
    runs = client.search_runs([experiments[0].experiment_id])
    assert {run.info.run_name for run in runs} == names
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_run_of_many_names_its_parent_and_its_job(store, client, monkeypatch):
    parent = store.start("search")
    monkeypatch.setenv("LANDMARKS_JOB_ID", "tune-toy-1")
    child = Tracker(store.config, "trial", str(store.root / "trial"), {}, {"verb": "tune"}, parent.run_id)
    tags = client.get_run(child.run_id).data.tags
    assert (tags["mlflow.parentRunId"], tags["landmarks.job"], tags["verb"]) == (
        parent.run_id,
        "tune-toy-1",
        "tune",
    )
    # Without a job, e.g. resumed on a laptop, a run keeps the one it began in; one that had none gets none.
    monkeypatch.setenv("LANDMARKS_JOB_ID", "")
    Tracker(store.config, "trial", str(store.root / "trial"), {}, {}, parent.run_id)
    assert client.get_run(child.run_id).data.tags["landmarks.job"] == "tune-toy-1"
    alone = client.get_run(store.start("alone").run_id).data.tags
    assert not {"mlflow.parentRunId", "landmarks.job"} & set(alone)
    found = client.search_runs(
        [client.get_experiment_by_name("tests").experiment_id],
        f"tags.`mlflow.parentRunId` = '{parent.run_id}'",
    )
    assert [r.info.run_id for r in found] == [child.run_id]


def test_what_a_run_has(store, client, tmp_path):
    run = store.start("has")
    assert not run.has("models")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.json").write_text("{}")
    run.file(str(tmp_path / "models"), "models")
    run.text("x", "config.yaml")
    assert run.has("models")
    assert run.has("config.yaml")
    assert not run.has("model")
    assert not run.has("model.json")


def test_files_of_an_object_store_are_artifacts_too(store, client):
    import mlflow

    write_text("memory://test-tracking/run/models/best/model.json", '{"a": 1}')
    write_text("memory://test-tracking/run/report.html", "<p>")
    try:
        run = store.start("remote")
        run.file("memory://test-tracking/run/models", "models")
        run.file("memory://test-tracking/run/report.html")
    finally:
        fsspec.filesystem("memory").rm("/test-tracking", recursive=True)
    assert {f.path for f in client.list_artifacts(run.run_id)} == {"models", "report.html"}
    assert [f.path for f in client.list_artifacts(run.run_id, "models")] == ["models/best"]
    uri = client.get_run(run.run_id).info.artifact_uri
    assert mlflow.artifacts.load_text(f"{uri}/models/best/model.json") == '{"a": 1}'
