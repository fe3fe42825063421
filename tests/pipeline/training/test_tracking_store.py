"""The address of a store: what cannot be used is named before anything starts."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipeline.errors import TrackingError
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.tracking import Tracker
from pipeline.training.tracking_store import absolute_uri, check_store


def check(uri: str) -> None:
    check_store(TrackingConfig(uri=uri))


def test_no_server_is_said_at_once():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(TrackingError) as caught:
        check(f"http://127.0.0.1:{port}")
    message = str(caught.value)
    assert f"tracking.uri = http://127.0.0.1:{port}: no MLflow server answers there" in message
    assert "sqlite:///outputs/mlflow.db" in message


def test_a_server_that_accepts_and_stays_silent_is_given_up(monkeypatch):
    monkeypatch.setattr("pipeline.training.tracking_store._PROBE_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(TrackingError, match="no MLflow server answers there"):
            check(f"http://127.0.0.1:{silent.getsockname()[1]}/")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b"{}", None),
        (401, b"You are not authenticated", None),
        (404, b"", None),
        (403, b"Invalid Host header - possible DNS rebinding attack detected", "--allowed-hosts"),
        (403, b"Permission denied", "answers 403"),
        (500, b"", "answers 500"),
    ],
)
def test_what_a_server_answers(status, body, message):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # MLflow answers these two under any host name.
            exempt = self.path in {"/health", "/version"}
            self.send_response(200 if exempt else status)
            self.end_headers()
            self.wfile.write(b"OK" if exempt else body)

        def log_message(self, *_args: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        uri = f"http://127.0.0.1:{server.server_port}"
        if message is None:
            check(uri)
        else:
            with pytest.raises(TrackingError, match=message):
                check(uri)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("uri", ["outputs/mlruns", "file:///tmp/mlruns", "/abs/mlruns", ""])
def test_a_folder_is_refused(uri):
    with pytest.raises(
        TrackingError, match="takes sqlite:///FILE or the http.s. address of a server, not a folder"
    ):
        check(uri)


@pytest.mark.parametrize(
    "uri", ["sqlite:///x.db", "sqlite:////abs/x.db", "postgresql://u@h/db", "mysql+pymysql://u@h/db"]
)
def test_stores_mlflow_knows(uri):
    check(uri)


def test_a_relative_file_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_uri("sqlite:///a/b.db") == f"sqlite:///{tmp_path}/a/b.db"
    assert absolute_uri("sqlite:////a/b.db") == "sqlite:////a/b.db"
    assert absolute_uri("http://h:5000") == "http://h:5000"


def test_a_relative_file_starts_at_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("LANDMARKS_ROOT", str(tmp_path / "shared"))
    assert absolute_uri("sqlite:///a/b.db") == f"sqlite:///{tmp_path}/shared/a/b.db"
    assert absolute_uri("sqlite:////a/b.db") == "sqlite:////a/b.db"


def test_a_file_cannot_live_in_an_object_store(monkeypatch, tmp_path):
    monkeypatch.setenv("LANDMARKS_ROOT", "s3://bucket/shared")
    for refused in (
        lambda: absolute_uri("sqlite:///a/b.db"),
        lambda: check("sqlite:///a/b.db"),
        lambda: Tracker(TrackingConfig(uri="sqlite:///a/b.db"), "x", str(tmp_path), {}, {}),
    ):
        with pytest.raises(TrackingError) as caught:
            refused()
        message = str(caught.value)
        assert "tracking.uri = sqlite:///a/b.db" in message
        assert "LANDMARKS_ROOT, which is an object store here (s3://bucket/shared/a/b.db)" in message
        assert "MLFLOW_TRACKING_URI" in message
    for taken in ("sqlite:////a/b.db", "http://h:5000"):
        assert absolute_uri(taken) == taken
    check("sqlite:////a/b.db")


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        check_store(TrackingConfig(uri="http://anna:hunter2@127.0.0.1:9/"))
    assert "hunter2" not in str(caught.value)
