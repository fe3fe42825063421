"""Sending a RayJob: what kubectl is asked, in which order, and what becomes of the answers; its kustomize is the real one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from jobs.cli import app, parse
from jobs.submission.kubernetes import send
from jobs.submission.kubernetes.manifests import object_name
from pipeline.errors import ClusterError, ConfigError

ROOT = Path(__file__).resolve().parents[4]
STUB = r"""#!/usr/bin/env bash
case "$*" in kustomize*) exec "$REAL" "$@" ;; esac
echo "$*" >>"$LOG/calls"
case "$*" in
    *"get configmap"*) cat "$LOG/settings" ;;
    *"get rayjobs.ray.io"*)  # one answer after the other; the last one stays
        cat "$LOG/answer" 2>/dev/null
        [ -e "$LOG/answer.next" ] && mv "$LOG/answer.next" "$LOG/answer" ;;
    *apply*) cat >"$LOG/applied" ;;
esac
exit 0
"""


@pytest.fixture
def log(tmp_path, monkeypatch) -> Path:
    """The cluster's side: what the stub was asked, and its answers. The working directory holds one config."""
    real = shutil.which("kubectl")
    if real is None:
        pytest.skip("no kubectl on the PATH")
    log, here = tmp_path / "log", tmp_path / "here"
    (tmp_path / "bin").mkdir()
    log.mkdir()
    here.mkdir()
    stub = tmp_path / "bin" / "kubectl"
    stub.write_text(STUB)
    stub.chmod(0o755)
    for name, value in {
        "PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}",
        "REAL": real,
        "LOG": str(log),
    }.items():
        monkeypatch.setenv(name, value)
    raw = {
        "name": "toy",
        "data": {"train": "outputs/train", "validation": "/mnt/landmarks/validation"},
        "model": {"name": "rcn", "width": 4},
        "tracking": {"uri": "${oc.env:MLFLOW_TRACKING_URI}"},
    }
    (here / "toy.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.chdir(here)
    settings = yaml.safe_load((ROOT / "k8s/base/settings.yaml").read_text())
    (log / "settings").write_text(json.dumps(settings))
    monkeypatch.setattr(send, "_POLL_S", 0.0)
    return log


def submit(*arguments: str, wait: bool = False, root: str | None = None, env: tuple[str, ...] = ()) -> int:
    return send.submit_to_kubernetes(
        "train",
        ["toy.yaml", *arguments],
        queued=False,
        cluster=str(ROOT / "k8s" / "cluster.yaml"),
        job_id=None,
        root=root,
        env=env,
        render_only=False,
        wait=wait,
        parse=parse,
    )


def calls(log: Path) -> list[str]:
    """Verb and kind of each question."""
    lines = (log / "calls").read_text().splitlines()
    assert all(line.startswith("--namespace landmarks ") for line in lines)
    return [" ".join(line.split()[2:4]) for line in lines]


def sent(log: Path) -> dict[str, dict]:
    return {doc["kind"]: doc for doc in json.loads((log / "applied").read_text())["items"]}


def answer(log: Path, state: str, *, file: str = "answer", status: str = "", **changes: object) -> None:
    """Have the cluster hold the job that was sent, in a state."""
    job = sent(log)["RayJob"]
    job["spec"] |= changes
    job["status"] = {"jobDeploymentStatus": state, "jobStatus": status, "message": "boo"}
    (log / file).write_text(json.dumps(job))


def test_a_new_job_is_applied_whole(log, capsys):
    assert submit() == 0
    assert calls(log) == ["get configmap", "get rayjobs.ray.io", "apply --server-side"]
    assert list(sent(log)) == ["ConfigMap", "RayJob"]  # the pods mount the one that is made first
    text = capsys.readouterr()
    assert text.out == ""
    assert "worker pods: 1, each of CPU 1, memory 10 GiB, GPU 0" in text.err
    assert "delete rayjobs,configmaps --selector landmarks/job=train-toy" in text.err


def test_a_job_that_runs_is_not_sent_again_and_another_is_refused(log, capsys):
    submit()
    answer(log, "Running")
    (log / "applied").unlink()
    assert submit() == 0
    assert "train-toy is Running already" in capsys.readouterr().err
    with pytest.raises(
        ClusterError, match=r"you ask for training\.steps=5.*delete rayjobs\.ray\.io train-toy"
    ):
        submit("training.steps=5", "training.epochs=null")
    config = yaml.safe_load(Path("toy.yaml").read_text()) | {"seed": 7}
    Path("toy.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ClusterError, match="its config has changed since"):
        submit()
    assert not (log / "applied").exists()


@pytest.mark.parametrize("state", ["Complete", "Failed", "ValidationFailed"])
def test_a_job_that_is_over_makes_way_and_resumes(log, state):
    submit()
    answer(log, state)
    (log / "calls").unlink()
    assert submit() == 0
    assert calls(log)[1:] == ["get rayjobs.ray.io", "delete rayjobs.ray.io", "apply --server-side"]


@pytest.mark.parametrize(("status", "code"), [("SUCCEEDED", 0), ("FAILED", 1)])
def test_waiting_ends_as_the_job_does(log, capsys, status, code):
    submit()
    answer(log, "Running")
    answer(log, "Complete" if code == 0 else "Failed", file="answer.next", status=status)
    assert submit(wait=True) == code
    said = capsys.readouterr().err
    assert ("boo" in said) == (code != 0)


def test_a_job_that_is_deleted_meanwhile_is_not_waited_for(log):
    with pytest.raises(ClusterError, match="somebody has deleted it"):
        submit(wait=True)  # the stub forgets what it is given


def test_a_platform_that_is_not_there_is_told_before_anything_is_sent(log):
    (log / "settings").write_text("")
    with pytest.raises(ClusterError, match=r"start\.sh OVERLAY platform"):
        submit()
    assert calls(log) == ["get configmap"]


def test_a_platform_with_other_settings_is_told(log, capsys):
    settings = json.loads((log / "settings").read_text())
    settings["data"]["W300_ROOT"] = "/elsewhere"
    (log / "settings").write_text(json.dumps(settings))
    assert submit() == 0
    assert "not as the manifests have it (W300_ROOT)" in capsys.readouterr().err


def test_relative_paths_start_on_a_volume(log):
    submit()
    variables = yaml.safe_load(sent(log)["RayJob"]["spec"]["runtimeEnvYAML"])["env_vars"]
    assert variables["LANDMARKS_ROOT"] == "/mnt/landmarks"
    submit(root="/mnt/landmarks/team")
    for root in ("/home/me", "/tmp/outputs", "/mnt/raw"):  # not there; gone with the pod; read only
        with pytest.raises(ConfigError, match=rf"{root}: no volume .*they mount /mnt/landmarks$"):
            submit(root=root)


def test_configs_are_read_with_the_settings_of_the_cluster(log, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://of-this-machine:5000")
    submit()
    assert sent(log)["RayJob"]["spec"]["metadata"]["landmarks.tracking"] == "http://landmarks-mlflow:5000"
    submit(env=("MLFLOW_TRACKING_URI=http://asked-for:5000",))
    assert sent(log)["RayJob"]["spec"]["metadata"]["landmarks.tracking"] == "http://asked-for:5000"


def test_an_object_store_needs_keys_and_a_way_to_it(log):
    with pytest.raises(ConfigError, match=r"data\.train = s3://bucket/train: .*object_store: true"):
        submit("data.train=s3://bucket/train")
    assert not (log / "calls").exists()


def test_secrets_are_refused(log):
    with pytest.raises(ConfigError, match="looks like a secret"):
        submit(env=("API_TOKEN=abc",))
    assert not (log / "calls").exists()


def test_command_line_renders_and_sends_nothing(log, monkeypatch):
    monkeypatch.setenv("LANDMARKS_CLUSTER", str(ROOT / "k8s" / "cluster.yaml"))
    done = CliRunner().invoke(
        app, ["submit", "--to", "kueue", "--id", "Team_1", "--render", "train", "toy.yaml"]
    )
    assert done.exit_code == 0, done.output
    docs = list(yaml.safe_load_all(done.stdout))
    assert [doc["kind"] for doc in docs] == ["ConfigMap", "RayJob"]
    assert {doc["metadata"]["name"] for doc in docs} == {object_name("Team_1")}
    variables = yaml.safe_load(docs[1]["spec"]["runtimeEnvYAML"])["env_vars"]
    assert variables["LANDMARKS_JOB_ID"] == "Team_1"
    assert not (log / "calls").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--render"], "--to kubernetes or --to kueue"),
        (["--to", "kueue", "--gpus", "1"], "head's pod"),
        (["--to", "kubernetes", "--cluster", "absent.yaml"], "absent.yaml: no such file"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, expected):
    done = CliRunner().invoke(app, ["submit", *options, "train", "toy.yaml"])
    assert expected in str(done.exception)
