"""``torch.export``: a program (``.pt2``) that torch alone runs, without this project."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.inference.export.module import CropsToLandmarks, example
from pipeline.inference.export.target import Run, Target
from pipeline.methods.model_file import DESCRIPTION


class Program(Target):
    """``torch.export.load(FILE).module()(crops)``; ``model.json`` is among its extra files."""

    suffix = ".pt2"

    def write(self, module: CropsToLandmarks, path: str) -> None:
        """Trace and save."""
        try:
            with torch.no_grad():
                program = torch.export.export(
                    module, (example(module),), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)
                )
        except Exception as error:  # torch._dynamo has no base class for what it cannot trace
            raise ConfigError(f"this model cannot be traced by torch.export: {error}") from error
        described = module.model.description.model_dump_json(indent=2)
        torch.export.save(program, path, extra_files={DESCRIPTION: described})

    def load(self, path: str) -> Run:
        """Read back."""
        module = torch.export.load(path).module()

        def run(crops_BSS3: Tensor) -> tuple[Tensor, ...]:
            with torch.no_grad():
                return tuple(module(crops_BSS3))

        return run


TARGET = Program
