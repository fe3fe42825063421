"""A guard of secrets: none may reach a job's command, environment, metadata or messages, which the cluster's dashboard shows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import ConfigError

_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|CREDENTIAL|(TOKEN|KEY)S?(?![A-Z])", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")


def looks_secret(name: str) -> bool:
    """Whether a variable of this name is likely to hold a secret (API_TOKEN is, TOKENIZERS_PARALLELISM is not)."""
    return _SECRET_NAME.search(name) is not None


def has_credentials(text: str) -> bool:
    """Whether a text holds an address with a password in it, ``scheme://user:password@host``."""
    return _USERINFO.search(text) is not None


def without_credentials(text: str) -> str:
    """The text with user and password cut out of its addresses."""
    return _USERINFO.sub("", text)


def ray_tokens() -> tuple[str, ...]:
    """Ray's authentication tokens of this process's environment, longest first; empty without any."""
    found = [os.environ.get("RAY_AUTH_TOKEN", "")]
    for path in (os.environ.get("RAY_AUTH_TOKEN_PATH"), str(Path.home() / ".ray" / "auth_token")):
        try:
            found.append(Path(path).read_text(encoding="utf-8") if path else "")
        except (OSError, UnicodeDecodeError):
            continue  # no such file: no token to guard
    return tuple(sorted({token.strip() for token in found if token.strip()}, key=len, reverse=True))


def scrub(text: str) -> str:
    """A message of somebody else's without tokens and passwords."""
    for token in ray_tokens():
        text = text.replace(token, "…")
    return without_credentials(text)


def refuse_tokens(texts: Iterable[str]) -> None:
    """Keep Ray's own tokens out of what a job shows to everybody.

    Raises:
        ConfigError: One of the texts holds one.
    """
    texts = list(texts)
    if any(token in text for token in ray_tokens() for text in texts):
        raise ConfigError(
            "Ray's authentication token is in the command or in --env, which everybody who sees the cluster's dashboard can "
            "read; the job needs no token of its own"
        )
