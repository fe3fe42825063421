"""What one machine brings: versions, memory, disks, limits, accelerators."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata

import psutil

from jobs.health.finding import Finding, Level, judged

DISTRIBUTION = "landmark-pipeline"
_GIB = 2**30
_LEAST_MEMORY, _LEAST_SHM, _LEAST_DISK = 4 * _GIB, _GIB, 10 * _GIB
_LEAST_FILES = 4096


def examine_machine(gpu: bool) -> list[Finding]:
    """Look at the machine this process runs on.

    Args:
        gpu: Whether training there is to use GPUs.
    """
    return [*_versions(), _cores(), _memory(), _shared_memory(), _temporary(), _files(), *_accelerator(gpu)]


def _versions() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield judged(
        "Python",
        python,
        sys.version_info[:2] not in {(3, 11), (3, 12)},
        "use 3.11 or 3.12, which the tests run on",
        Level.FAILURE,
    )
    from packaging.requirements import Requirement

    try:
        stated = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Finding(
            "packages", f"{DISTRIBUTION} is not installed", Level.WARNING, "pip install it, or make setup"
        )
        return
    wrong = []
    needed = [r for r in map(Requirement, stated) if r.marker is None or r.marker.evaluate({"extra": ""})]
    for requirement in needed:
        try:
            installed = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed} is not {requirement.specifier}")
    yield judged(
        "packages",
        "; ".join(wrong)
        or f"{len(needed)} as required, torch {metadata.version('torch')}, ray {metadata.version('ray')}",
        bool(wrong),
        "install the project with its constraints.txt",
        Level.FAILURE,
    )


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return judged(
        "cores",
        f"{cores}, load {load:.1f}",
        load > 2 * cores,
        "others work here, too: what a training waits for multiplies; end them, or give them another machine",
    )


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    return judged(
        "memory",
        f"{free / _GIB:.1f} GiB free",
        free < _LEAST_MEMORY,
        f"a worker and its loaders take 1 to 3 GiB, Ray another: have {_LEAST_MEMORY // _GIB} GiB free, or train one at a time",
    )


def _shared_memory() -> Finding:
    try:
        size = shutil.disk_usage("/dev/shm").total
    except OSError:
        return Finding(
            "/dev/shm", "missing", Level.WARNING, "Ray falls back to the disk: mount a tmpfs there"
        )
    return judged(
        "/dev/shm",
        f"{size / _GIB:.1f} GiB",
        size < _LEAST_SHM,
        "Ray and NCCL exchange data there: docker run --shm-size=2g, or a memory volume of the pod",
    )


def _temporary() -> Finding:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    return judged(
        f"disk at {folder}",
        f"{free / _GIB:.0f} GiB free",
        free < _LEAST_DISK,
        "Ray's logs, checkpoints on their way and cached shards lie there: free some, or set TMPDIR and RAY_TMPDIR",
    )


def _files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return judged(
        "open files",
        f"at most {soft:,}",
        soft < _LEAST_FILES,
        f"ulimit -n {min(65536, hard) if hard > 0 else 65536}: Ray holds many connections",
    )


def _accelerator(gpu: bool) -> Iterator[Finding]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        built = f"torch for CUDA {torch.version.cuda}" if torch.version.cuda else "torch without CUDA"
        yield judged(
            "GPU",
            f"none ({built})",
            gpu,
            "the config has cluster.gpu: true: use a node with a GPU and its driver, or cluster.gpu=false",
            Level.FAILURE,
        )
        return
    for index in range(count):
        free, total = torch.cuda.mem_get_info(index)
        name, major = torch.cuda.get_device_name(index), torch.cuda.get_device_capability(index)[0]
        yield judged(
            f"GPU {index}",
            f"{name}, {free / _GIB:.0f} of {total / _GIB:.0f} GiB free",
            free < total / 2,
            "something else holds its memory: nvidia-smi shows what",
        )
        yield judged(
            f"bf16 on GPU {index}", "yes" if major >= 8 else "no", major < 8, "use training.precision: fp32"
        )
