"""Pretrained weights, from a local safetensors file. Nothing is ever downloaded.

A constructor that is given a file reads it, so no run starts without the weights its config names. On the meta device
the file's names and shapes are checked against the network, and nothing is read: a dry run finds a wrong file. Code
that fills the network from a checkpoint next builds it within :func:`without_pretrained`, and needs no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from pipeline.errors import ConfigError

_READ: ContextVar[bool] = ContextVar("read pretrained weights", default=True)


@contextmanager
def without_pretrained() -> Iterator[None]:
    """Within it, networks are built with random weights and need no file: a checkpoint follows."""
    token = _READ.set(False)
    try:
        yield
    finally:
        _READ.reset(token)


def load_pretrained(network: nn.Module, path: str | None, unused: tuple[str, ...] = ()) -> None:
    """Fill a network from a file.

    Args:
        network: whose parameters and buffers have the file's names.
        path: of a safetensors file; None leaves the network as it is.
        unused: first words of names that the file may hold beyond the network's, e.g. its classifier's.

    Raises:
        ConfigError: no such file, not a safetensors file, or one whose names or shapes are another network's.
    """
    if path is None or not _READ.get():
        return
    if not Path(path).is_file():
        raise ConfigError(
            f"weights = {path}: no such file; name a local safetensors file, or null for random weights"
        )
    wanted = {
        name: value for name, value in network.state_dict().items() if "num_batches_tracked" not in name
    }
    try:
        with safe_open(path, framework="pt") as file:
            held = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _compare(path, {name: tuple(value.shape) for name, value in wanted.items()}, held, unused)
            if all(value.is_meta for value in wanted.values()):
                return
            with torch.no_grad():
                for name, value in wanted.items():
                    value.copy_(file.get_tensor(name))
    except SafetensorError as error:
        raise ConfigError(f"weights = {path}: not a safetensors file: {error}") from error


def _compare(
    path: str, wanted: dict[str, tuple[int, ...]], held: dict[str, tuple[int, ...]], unused: tuple[str, ...]
) -> None:
    for name, shape in wanted.items():
        if name not in held:
            raise ConfigError(f"weights = {path}: holds no '{name}': these are another network's weights")
        if held[name] != shape:
            raise ConfigError(f"weights = {path}: '{name}' is {held[name]}, the network's is {shape}")
    for name in held:
        if name not in wanted and "num_batches_tracked" not in name and name.split(".")[0] not in unused:
            raise ConfigError(
                f"weights = {path}: holds '{name}', which the network lacks: these are another network's"
            )
