"""An object store, by any URL that fsspec knows: asked again, with growing pauses, where it fails, and named where it stays away.

Stores answer 500 and 503 when they are busy, or slowly, or with half of what was asked for; clients repeat some of that
themselves, but give up within seconds. What a client raises beyond Python's own file errors never leaves this module.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import fsspec

from pipeline.errors import StorageError

_T = TypeVar("_T")

ATTEMPTS = 6
FIRST_PAUSE_S = 0.5
"""Before the second attempt; doubled before each further one, so that a store may be away for a quarter of a minute."""
_EXTRAS = {"s3": "s3", "s3a": "s3"}
_ANSWERS = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError)
"""What a store that works says; its callers know what it means."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def store_of(url: str) -> tuple[Any, str]:
    """The client of a URL's store, and the path in it. Listings are never remembered: other processes write there, too.

    Raises:
        StorageError: There is no client for it on this machine, or none at all.
    """
    scheme = url.partition("://")[0]
    try:
        store, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        remedy = (
            f"pip install 'landmark-pipeline[{_EXTRAS[scheme]}]'"
            if scheme in _EXTRAS
            else "install it on every node"
        )
        raise StorageError(
            f"{url}: the client of {scheme}:// is not installed ({error}): {remedy}"
        ) from error
    except ValueError as error:
        raise StorageError(f"{url}: cannot be used: {error}; give a path or an object store's URL") from error
    store.invalidate_cache()
    return store, str(path)


def ask(url: str, call: Callable[[Any, str], _T]) -> _T:
    """Do something with a store, again where it fails for a while.

    Args:
        url: What is asked for.
        call: Given the client and the path in it; may be called several times.

    Raises:
        FileNotFoundError: Likewise Python's other errors of a file that is, or is not, there.
        StorageError: No client, no right to it, or no answer after several attempts.
    """
    store, path = store_of(url)
    return repeated(url, lambda: call(store, path))


def repeated(url: str, call: Callable[[], _T]) -> _T:
    """Do something with a store whose client is known, again where it fails for a while.

    Args:
        url: What is asked for, for messages.
        call: May be called several times.

    Raises:
        As ``ask``.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call()
        except _ANSWERS:
            raise
        except Exception as error:
            if (final := _final(url, error)) is not None:
                raise final from error
            if attempt == ATTEMPTS:
                raise StorageError(
                    f"{url}: the store failed {ATTEMPTS} times, the last time with {_said(error)}; run the same command again "
                    "when it answers: it resumes"
                ) from error
        # Not all at once: what a busy store is busy with may be this run's many processes.
        time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))
    raise AssertionError("the last attempt returns or raises")


def _final(url: str, error: Exception) -> Exception | None:
    """What to raise of an error that will not go away by itself; None of one that may."""
    kind = type(error).__name__
    if "Credential" in kind or "Token" in kind:
        return StorageError(
            f"{url}: {_said(error)}: give every node the store's keys, e.g. in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a "
            "role"
        )
    if isinstance(error, PermissionError):
        return StorageError(f"{url}: access denied ({_said(error)}); correct the keys or the bucket's policy")
    if isinstance(error, OSError):
        return error if error.errno in _FULL else None
    # Clients' own: of botocore, aiohttp, google.auth, azure, …; anything else is a mistake in this program.
    clients = {"botocore", "aiobotocore", "aiohttp", "google", "azure", "requests", "urllib3", "asyncio"}
    if type(error).__module__.partition(".")[0] not in clients:
        return error
    if "Validation" in kind:
        return StorageError(f"{url}: {_said(error)}; correct the URL")
    return None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def read_object(url: str, start: int | None = None, stop: int | None = None) -> bytes:
    """The bytes of an object, or some of them.

    Raises:
        FileNotFoundError: There is none.
        StorageError: As ``ask``.
    """
    content: bytes = ask(url, lambda store, path: store.cat_file(path, start=start, end=stop))
    return content


def get_object(url: str, path: str) -> None:
    """Copy an object to a local file, which appears piece by piece.

    Raises:
        FileNotFoundError: There is none.
        StorageError: As ``ask``.
        OSError: The disk is full.
    """
    ask(url, lambda store, remote: store.get_file(remote, path))


def put_object(path: str, url: str) -> None:
    """Copy a local file into a store, where it appears whole.

    Raises:
        StorageError: As ``ask``.
    """
    ask(url, lambda store, remote: store.put_file(path, remote))
