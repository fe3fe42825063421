"""``landmarks submit`` against a real job server: stopped, resumed, its stream cut; bad commands are refused before."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
import yaml

from jobs.cli import parse
from jobs.submit import submit
from pipeline.errors import ClusterError, ConfigError

pytestmark = pytest.mark.cluster
STEPS = 56
HELD = """
import time
from pathlib import Path
from pipeline.losses import LaplaceKL

class Held(LaplaceKL):
    calls = 0

    def per_landmark(self, p_BKHW, target_BK2, mask_BK=None):
        Held.calls += 1
        while Held.calls > 30 and Path("{gate}").exists():
            time.sleep(0.05)
        return super().per_landmark(p_BKHW, target_BK2, mask_BK)

LOSS = Held
"""
"""A loss of the user's own, which travels with the config. After thirty steps it waits for a gate to go: a run that is to be
stopped must not be over first."""


@pytest.fixture
def folder(tmp_path, toy_sets) -> Path:
    """A working directory with one small experiment in it; its paths are relative but for the sets."""
    raw = {
        "name": "toy",
        "input_size": 48,
        "data": {"train": str(toy_sets["train"]), "validation": str(toy_sets["validation"]), "streams": 4},
        "model": {"name": "rcn", "width": 4, "dropout": 0.2},
        "training": {
            "epochs": None,
            "steps": STEPS,
            "batch": 8,
            "trace": True,
            "log_every": 4,
            "validate_every": 4.0,
            "checkpoint_every": 0.8,
            "image_every": 50.0,
        },
    }
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(raw))
    return tmp_path


def hold(folder: Path, gate: Path, **changes) -> None:
    """Give the folder's experiment the loss that waits, and other changes."""
    (folder / "my_team").mkdir()
    (folder / "my_team" / "held.py").write_text(HELD.format(gate=gate))
    path = folder / "toy.yaml"
    raw = yaml.safe_load(path.read_text()) | {"loss": {"name": "my_team.held"}}
    path.write_text(yaml.safe_dump(raw | changes))


def steps_written(folder: Path) -> list[int]:
    path = folder / "outputs" / "runs" / "toy" / "trace" / "rank0.jsonl"
    if not path.exists():
        return []
    whole = path.read_text().rpartition("\n")[0]
    return [json.loads(line)["step"] for line in whole.splitlines()]


def wait_for_steps(folder: Path, count: int, process) -> None:
    deadline = time.monotonic() + 400
    while len(steps_written(folder)) < count:
        assert process.alive(), process.output
        assert time.monotonic() < deadline, process.output
        time.sleep(0.05)


def test_stopped_then_resumed_through_a_cut_stream(job_cluster, proxy, terminal, folder):
    import mlflow

    gate, elsewhere = folder / "gate", folder / "edited"
    gate.touch()
    elsewhere.mkdir()
    shutil.copy(folder / "toy.yaml", elsewhere)
    hold(folder, gate)
    hold(elsewhere, gate, seed=5)
    command = ("submit", "--address", job_cluster.address, "train", "toy.yaml")
    first = terminal(*command, cwd=folder, env=job_cluster.environment)
    first.expect("Running entrypoint")
    # The id is taken: by another command, and by this one with what its config says by now.
    other = job_cluster.landmarks(*command, "training.steps=81", cwd=folder)
    assert other.returncode == 2
    assert "it has nothing else, you ask for training.steps=81" in other.stderr
    changed = job_cluster.landmarks(*command, cwd=elsewhere)
    assert changed.returncode == 2
    assert "its config has changed since" in changed.stderr

    wait_for_steps(folder, 20, first)
    first.type("\x03")
    first.expect("[d/s/k]")
    first.type("s\n")
    assert first.wait() == 130, first.output
    assert "train-toy: STOPPED" in first.output
    done = steps_written(folder)
    assert len(done) < STEPS
    run = json.loads((folder / "outputs" / "runs" / "toy" / "mlflow.json").read_text())
    store = mlflow.MlflowClient(tracking_uri=run["uri"])
    assert store.get_run(run["run_id"]).info.status == "KILLED"

    second = terminal(
        "submit", "--address", proxy.address, "train", "toy.yaml", cwd=folder, env=job_cluster.environment
    )
    wait_for_steps(folder, len(done) + 15, second)
    while not proxy.streams:
        assert second.alive(), second.output
        time.sleep(0.05)
    proxy.cut(refuse_s=2)
    gate.unlink()
    assert second.wait() == 0, second.output
    assert "exists and is STOPPED" in second.output
    assert "connecting again" in second.output
    assert "train-toy: SUCCEEDED, exit code 0" in second.output
    # What the stopped job printed is not printed again; what this one did is, as often as it did.
    client = job_cluster.client()
    log = client.get_job_logs("train-toy")
    assert log.count("Running entrypoint for job train-toy") == 2
    # Ray's own first line, with the time, comes before.
    start = log.rindex("\n", 0, log.rindex("\n", 0, log.rindex("Running entrypoint"))) + 1
    for line in set(log[start:].splitlines()):
        assert second.output.count(line) == log[start:].count(line), line

    # It resumed: from a checkpoint at most a few steps back, to the end.
    again = steps_written(folder)[len(done) :]
    assert done[-1] - 12 <= again[0] <= done[-1] + 1
    assert again == list(range(again[0], STEPS))
    assert json.loads((folder / "outputs" / "runs" / "toy" / "mlflow.json").read_text()) == run
    listed = job_cluster.landmarks("jobs", "list", "--address", job_cluster.address, cwd=folder)
    line = next(line for line in listed.stdout.splitlines() if line.startswith("train-toy"))
    assert line.split()[1] == "SUCCEEDED"
    assert line.split()[-2:] == ["toy", run["run_id"]]

    states = store.get_run(run["run_id"])
    assert states.info.status == "FINISHED"
    assert states.data.tags["landmarks.job"] == "train-toy"

    # The token is nowhere to be read.
    info = client.get_job_info("train-toy")
    assert info.metadata["landmarks.command"] == "landmarks train toy.yaml"
    assert info.runtime_env["env_vars"]["LANDMARKS_ROOT"] == str(folder)
    everything = [first.output, second.output, other.stderr, listed.stdout, str(info.dict())]
    assert not any(job_cluster.token in text for text in [*everything, log])


def test_failing_job_gives_its_exit_code_and_options_reach_the_verb(job_cluster, folder):
    # An option after the verb is the verb's, before it, submit's.
    failed = job_cluster.landmarks(
        *("submit", "--address", job_cluster.address, "--id", "look", "--env", "COLOUR=blue"),
        *("train", "toy.yaml", "data.train=/nowhere", "--dry-run"),
        cwd=folder,
    )
    assert failed.returncode == 2, failed.stderr
    command = "python -m jobs.cli train toy.yaml data.train=/nowhere --dry-run"
    assert f"Running entrypoint for job look: {command}" in failed.stdout
    assert "error: /nowhere/manifest.json: no such manifest" in failed.stdout
    assert "look: Job entrypoint command failed with exit code 2" in failed.stderr
    assert "look: FAILED, exit code 2" in failed.stderr
    assert not (folder / "outputs" / "runs").exists()
    variables = job_cluster.client().get_job_info("look").runtime_env["env_vars"]
    assert variables["COLOUR"] == "blue"
    assert variables["LANDMARKS_JOB_ID"] == "look"


def test_wrong_or_missing_token_is_explained(job_cluster, folder):
    command = ("submit", "--address", job_cluster.address, "train", "toy.yaml")
    wrong = job_cluster.landmarks(*command, cwd=folder, RAY_AUTH_TOKEN="not-the-token-0123456789")
    assert wrong.returncode == 2
    assert "refuses this token" in wrong.stderr
    assert "RAY_AUTH_TOKEN_PATH" in wrong.stderr
    assert "not-the-token" not in wrong.stdout + wrong.stderr
    missing = job_cluster.landmarks(*command, cwd=folder, RAY_AUTH_TOKEN="", HOME=str(folder))
    assert missing.returncode == 2
    assert "asks for a token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN" in missing.stderr
    assert "Traceback" not in wrong.stderr + missing.stderr


def ask(verb: str, *arguments: str, **options) -> int:
    """Submit to a port where nobody listens: what is wrong with the command is found before."""
    given = {"address": "http://127.0.0.1:9", "job_id": None, "root": None, "env": [], "wait": True}
    return submit(
        verb, arguments, **{**given, "cpus": 0, "gpus": 0, "memory_gib": 0, "parse": parse, **options}
    )


def test_what_is_wrong_with_the_command_is_found_before_anything_is_sent(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789-token-of-the-cluster")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    (folder / ".landmarksignore").write_text("hidden.yaml\n")
    (folder / "hidden.yaml").write_text((folder / "toy.yaml").read_text())
    for arguments, options, message in [
        (("trian", "toy.yaml"), {}, "did you mean 'train'?"),
        (("train", "toy.yaml", "training.step=3"), {}, "unknown key 'training.step': did you mean 'steps'?"),
        (("train", "toy.yaml", "--dry"), {}, "No such option"),
        (("train",), {}, "Missing argument 'CONFIG'"),
        (("train", "hidden.yaml"), {}, "hidden.yaml: not in the package"),
        (("train", "../toy.yaml"), {}, "not in it; submit from a folder that holds it"),
        (("tune", "toy.yaml"), {}, "has no section 'tune'"),
        (("train", "toy.yaml"), {"job_id": "a/b"}, "letters, digits"),
        (("train", "toy.yaml"), {"env": ["HF_TOKEN=x"]}, "looks like a secret"),
        (("train", "toy.yaml"), {"root": "shared"}, "absolute path on the cluster"),
        (("train", "toy.yaml"), {"address": "http://head:8265"}, "cluster.storage = outputs/runs"),
        (
            ("train", "toy.yaml", "tracking.experiment=0123456789-token-of-the-cluster"),
            {},
            "token is in the command",
        ),
        (("train", "toy.yaml", "tracking.uri=http://me:pw@mlflow"), {}, "MLFLOW_TRACKING_USERNAME"),
    ]:
        with pytest.raises(ConfigError) as caught:
            ask(*arguments, **options)
        assert message in str(caught.value), arguments
        assert "token-of-the-cluster" not in str(caught.value)
    with pytest.raises(ClusterError, match="no job server answers at http://127.0.0.1:9"):
        ask("train", "toy.yaml")
