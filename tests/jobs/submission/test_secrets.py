"""Secrets are told from what merely sounds like one, and cut out of what is printed."""

from __future__ import annotations

import pytest

from jobs.submission.secrets import has_credentials, looks_secret, ray_tokens, scrub, without_credentials


@pytest.mark.parametrize(
    "name",
    [
        *("RAY_AUTH_TOKEN", "HF_TOKENS", "AWS_SECRET_ACCESS_KEY", "api_key", "MLFLOW_TRACKING_PASSWORD"),
        *("APIKEY", "GOOGLE_APPLICATION_CREDENTIALS", "PASSWORDFILE", "RAY_AUTH_TOKEN_PATH"),
    ],
)
def test_secret_names(name):
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name", ["TOKENIZERS_PARALLELISM", "KEYBOARD", "OMP_NUM_THREADS", "W300_ROOT", "NCCL_DEBUG"]
)
def test_other_names(name):
    assert not looks_secret(name)


def test_passwords_in_addresses():
    text = "tracking.uri=https://me:p%40ss@mlflow.example.org/x and http://plain:8265/a@b"
    assert has_credentials(text)
    assert without_credentials(text) == (
        "tracking.uri=https://mlflow.example.org/x and http://plain:8265/a@b"
    )
    assert not has_credentials("http://plain:8265/a@b")
    assert not has_credentials("s3://bucket/key")


def test_tokens_are_found_and_scrubbed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")
    assert ray_tokens() == ()
    assert scrub("as it was") == "as it was"
    (tmp_path / "token").write_text("from-the-file\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "from-the-environment")
    assert ray_tokens() == ("from-the-environment", "from-the-file")
    assert scrub("a from-the-file b from-the-environment") == "a … b …"
