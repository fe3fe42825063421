"""What all machines of a run must reach: the storage, the prepared sets, the tracking server."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator

from jobs.health.finding import Finding, Level, judged
from pipeline.errors import LandmarkError
from pipeline.shards.manifest import join, load_manifest, manifest_url, parent
from pipeline.storage import absolute, open_binary, remove, write_bytes
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.tracking_store import check_store
from pipeline.words import counted

PROBE_BYTES = 16 * 2**20
_SLOW = 20 * 2**20
"""Bytes a second under which checkpoints and shards are waited for."""


def examine_shared(config: ExperimentConfig) -> list[Finding]:
    """Look at what a run of a config reads and writes, from the machine this process runs on.

    Args:
        config: Of the run.
    """
    return [*_storage(config.cluster.storage), *_sets(config), _tracking(config)]


def _storage(storage: str) -> Iterator[Finding]:
    about, url = f"storage {storage}", join(absolute(storage), f".doctor-{secrets.token_hex(8)}")
    content = os.urandom(PROBE_BYTES)
    try:
        began = time.perf_counter()
        write_bytes(url, content)
        wrote = time.perf_counter() - began
        with open_binary(url) as file:
            same = file.read() == content
        read = time.perf_counter() - began - wrote
    except (LandmarkError, OSError) as error:
        yield Finding(
            about,
            str(error),
            Level.FAILURE,
            "make it writable for this user on every node, or set cluster.storage",
        )
        return
    finally:
        _tidy(url)
    yield judged(
        about,
        "what was written is read" if same else "what was written is not what is read",
        not same,
        "do not train on this storage: it loses data",
        Level.FAILURE,
    )
    rates = PROBE_BYTES / max(wrote, 1e-6), PROBE_BYTES / max(read, 1e-6)
    yield judged(
        f"rate of {storage}",
        f"{rates[0] / 2**20:,.0f} MiB/s written, {rates[1] / 2**20:,.0f} MiB/s read",
        min(rates) < _SLOW,
        "checkpoints will be waited for: use a faster volume, or a larger training.checkpoint_every",
    )


def _tidy(url: str) -> None:
    try:
        remove(url)
    except (LandmarkError, OSError):
        return  # it was never there, which has been said


def _sets(config: ExperimentConfig) -> Iterator[Finding]:
    for key, place in config.data.sets().items():
        folder = absolute(place)
        try:
            manifest = load_manifest(folder)
            if manifest.shards:
                with open_binary(join(parent(manifest_url(folder)), manifest.shards[0].path)) as file:
                    file.read(512)
        except (LandmarkError, OSError) as error:
            yield Finding(
                f"data.{key}",
                str(error),
                Level.FAILURE,
                "prepare it, or name the folder where this machine has it",
            )
            continue
        yield Finding(
            f"data.{key}",
            f"{counted(manifest.samples, 'sample')} in {counted(len(manifest.shards), 'shard')}",
        )


def _tracking(config: ExperimentConfig) -> Finding:
    try:
        check_store(config.tracking)
    except LandmarkError as error:
        return Finding("MLflow", str(error), Level.FAILURE, "start the server, or set tracking.uri")
    return Finding("MLflow", config.tracking.uri)
