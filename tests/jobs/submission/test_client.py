"""Where the job server is, and what is said of servers that are none."""

from __future__ import annotations

import http.server
import os
import threading

import pytest

from jobs.submission.client import JobServer, UnreachableError, environment, find_address, is_loopback
from pipeline.errors import ClusterError


@pytest.fixture(autouse=True)
def _no_address(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


def test_address(monkeypatch):
    with pytest.raises(ClusterError, match="kubectl port-forward"):
        find_address(None)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(ClusterError, match="RAY_ADDRESS=10.0.0.1:6379 is the cluster's own address"):
        find_address(None)
    monkeypatch.setenv("RAY_ADDRESS", "http://one:8265/")
    assert find_address(None) == "http://one:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "https://two")
    assert find_address(None) == "https://two"
    assert find_address("three:8265") == "http://three:8265"
    with pytest.raises(ClusterError, match="looks like http://HEAD:8265"):
        find_address("ray://head:10001")
    assert is_loopback("http://localhost:8265")
    assert is_loopback("http://[::1]:8265")
    assert not is_loopback("http://head:8265")


def test_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("ONE", "1")
    monkeypatch.delenv("TWO", raising=False)

    def fail() -> None:
        assert "ONE" not in os.environ
        assert os.environ["TWO"] == "2"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), environment({"ONE": None, "TWO": "2"}):
        fail()
    assert os.environ["ONE"] == "1"
    assert "TWO" not in os.environ


@pytest.fixture
def answering():
    """Starts a web server that answers everything alike; returns its address."""
    servers = []

    def start(code: int, body: str) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                return

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("code", "body", "kind", "message"),
    [
        (404, "nothing here", ClusterError, "no job server of Ray's"),
        (200, "<html>hello</html>", ClusterError, "its answer is not JSON"),
        (200, '{"ray_version": "1.8.0"}', ClusterError, "Ray version 1.8.0 is running"),
        (502, "bad gateway", UnreachableError, "answers 502"),
        (401, "Unauthorized", ClusterError, "asks for a token"),
        (403, "Forbidden", ClusterError, "refuses this token"),
    ],
)
def test_servers_that_are_none(answering, code, body, kind, message):
    with pytest.raises(ClusterError, match=message) as caught:
        JobServer(answering(code, body))
    assert type(caught.value) is kind


def test_nobody_there_and_no_such_token_file(monkeypatch):
    with pytest.raises(UnreachableError, match="no job server answers at http://127.0.0.1:9"):
        JobServer("http://me:hush@127.0.0.1:9")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere/token")
    with pytest.raises(ClusterError, match="/nowhere/token: no such file"):
        JobServer("http://127.0.0.1:9")
