"""Exported models: one graph from crops to landmarks, in a target's file format."""

from __future__ import annotations

import importlib

from pipeline.errors import ConfigError, did_you_mean
from pipeline.inference.export.target import Target

TARGETS = {"onnx": "onnx", "torch": "program"}
"""What a user calls a target, and its module."""


def find_target(name: str) -> Target:
    """The target of a name.

    Raises:
        ConfigError: No such target.
    """
    if name not in TARGETS:
        raise ConfigError(f"no target '{name}': {did_you_mean(name, TARGETS)}known are {', '.join(TARGETS)}")
    target: Target = importlib.import_module(f"{__name__}.{TARGETS[name]}").TARGET()
    return target
