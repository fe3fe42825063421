"""ONNX: a graph that runtimes for phones, browsers and servers run (the extra ``export``)."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.inference.export.module import COVARIANCE, INPUT, POINTS, CropsToLandmarks, example
from pipeline.inference.export.target import Run, Target
from pipeline.methods.model_file import DESCRIPTION

OPSET = (
    20  # the least with all that is used here, anti-aliased resizing among it, in one version for all models
)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"ONNX needs the package '{name}': pip install 'landmark-pipeline[export]'"
        ) from error


class Onnx(Target):
    """Input ``crops``; outputs ``points``, and ``covariance`` where the model states one; ``model.json`` among the metadata."""

    suffix = ".onnx"

    def write(self, module: CropsToLandmarks, path: str) -> None:
        """Trace, translate and save."""
        for name in ("onnx", "onnxscript"):
            _package(name)
        crops = example(module)
        with torch.no_grad():
            outputs = [POINTS, COVARIANCE][: len(module(crops))]
        logger = logging.getLogger("torch.onnx")
        level = logger.level
        logger.setLevel(logging.ERROR)  # it warns of every operator of torchvision that it does not find
        try:
            program = torch.onnx.export(
                module,
                (crops,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=outputs,
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                verbose=False,
            )
        except Exception as error:  # the exporter has no base class for what it cannot translate
            raise ConfigError(f"this model cannot be written as ONNX: {error}") from error
        finally:
            logger.setLevel(level)
        assert program is not None  # with dynamo=True
        program.model.metadata_props[DESCRIPTION] = module.model.description.model_dump_json()
        program.save(path, external_data=False)

    def load(self, path: str) -> Run:
        """An ONNX Runtime session on the CPU."""
        runtime = _package("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(crops_BSS3: Tensor) -> tuple[Tensor, ...]:
            return tuple(map(torch.from_numpy, session.run(None, {INPUT: crops_BSS3.numpy()})))

        return run


TARGET = Onnx
