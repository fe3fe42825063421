"""``landmarks jobs`` against a real job server: follow, detach, stop, list, for jobs of ours and of others."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from typing import Any

import pytest

pytestmark = pytest.mark.cluster
TALK = "import time\nfor i in range({n}): print('line', i, 'ä' * 50, flush=True); time.sleep({pause})\n"


@pytest.fixture
def start(job_cluster):
    """Start a job that has nothing to do with this project."""
    client = job_cluster.client()

    def run(name: str, code: str, **options) -> Any:
        client.submit_job(
            entrypoint=shlex.join([sys.executable, "-c", code]),
            submission_id=name,
            **options,
        )
        return client

    return run


def test_detach_goes_on_and_stop_stops(job_cluster, terminal, start, tmp_path):
    client = start("long", TALK.format(n=600, pause=0.2))
    at = ("--address", job_cluster.address)
    window = terminal("jobs", "follow", "long", *at, cwd=tmp_path, env=job_cluster.environment)
    window.expect("line 3 ")
    window.type("\x03")
    window.expect("[d/s/k]")
    window.type("k\n")
    at_least = int(window.output.rpartition("line ")[2].split()[0])
    window.expect(f"line {at_least + 5} ")
    window.type("\x03")
    while window.output.count("[d/s/k]") < 2:
        window.expect("[d/s/k]")
    window.type("d\n")
    assert window.wait() == 130
    assert "detached; job long goes on" in window.output
    assert window.output.count("line 2 ") == 1
    assert client.get_job_status("long").value == "RUNNING"

    stopped = job_cluster.landmarks("jobs", "stop", "long", *at, cwd=tmp_path)
    assert stopped.returncode == 0, stopped.stderr
    assert client.get_job_status("long").value == "STOPPED"
    assert (
        "is over already: STOPPED" in job_cluster.landmarks("jobs", "stop", "long", *at, cwd=tmp_path).stderr
    )
    after = job_cluster.landmarks("jobs", "follow", "long", *at, cwd=tmp_path)
    assert after.returncode == 130
    assert after.stdout == client.get_job_logs("long")


def test_the_log_is_whole_and_printed_once_whatever_is_cut(job_cluster, proxy, start, tmp_path):
    client = start("cut", TALK.format(n=70, pause=0.2) + "import sys; sys.exit(7)")
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.cli", "jobs", "follow", "cut", "--address", proxy.address],
            cwd=tmp_path,
            env=job_cluster.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        for cuts, line in enumerate((2, 20, 40), start=1):
            while f"line {line} " not in out.read_text():
                assert process.poll() is None, err.read_text()
                time.sleep(0.05)
            # Between two streams there may be nothing to cut, or only a question for the status.
            while err.read_text().count("the log stream ") < cuts:
                assert process.poll() is None, err.read_text()
                if proxy.streams:
                    proxy.cut(refuse_s=1.0)
                time.sleep(0.05)
        process.wait(timeout=120)
    output, errors = out.read_text(), err.read_text()
    assert errors.count("the log stream ") >= 3
    assert "connecting again" in errors
    # The job's status decides, and its exit code is ours.
    assert process.returncode == 7, errors
    assert "cut: FAILED, exit code 7" in errors
    assert output == client.get_job_logs("cut")
    assert output.count("line 69 ") == 1


def test_every_job_is_listed(job_cluster, start, tmp_path):
    start(
        "ours", "print(1)", metadata={"landmarks.verb": "train", "landmarks.tracking": "http://127.0.0.1:9"}
    )
    client = start("theirs", "print(2)")
    at = ("--address", job_cluster.address)
    deadline = time.monotonic() + 120
    while any(client.get_job_status(name).value != "SUCCEEDED" for name in ("ours", "theirs")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    listed = job_cluster.landmarks("jobs", "list", *at, cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    rows = {line.split()[0]: line.split() for line in listed.stdout.splitlines() if line.split()}
    assert rows["ours"][1] == "SUCCEEDED"
    assert rows["ours"][-2:] == ["train", "—"]
    assert rows["theirs"][-2:] == ["—", "—"]
    # A tracking server that is away is a remark, not a failure.
    assert "MLflow runs in http://127.0.0.1:9 cannot be shown" in listed.stdout
    assert client.get_job_status("theirs").value == "SUCCEEDED"
    unknown = job_cluster.landmarks("jobs", "follow", "their", *at, cwd=tmp_path)
    assert unknown.returncode == 2
    assert "no job 'their'" in unknown.stderr
    assert "did you mean 'theirs'?" in unknown.stderr
