"""``landmarks bench infer``: frames a second on one thread of a CPU, a face at a time: eager, compiled, ONNX Runtime, in turn.

A frame is what an exported model does: a uint8 crop in, normalised, through the network, decoded to landmarks and covariances.
A second is one of this process's CPU time: on an idle core the same as the clock's, and on a shared machine still ours.
The paper's figures stand beside ours where it has any: Robinson et al., ICCV 2019, table 3. Its CPU is not ours: speeds can be
compared between its rows alone, storage as it is.
"""

from __future__ import annotations

import importlib.util
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from jobs.bench.figures import write_csv
from jobs.settings import experiment
from pipeline.inference.export import find_target
from pipeline.inference.export.module import CropsToLandmarks
from pipeline.markup import load_markup
from pipeline.methods.build import make_generator, make_method
from pipeline.methods.model_file import LandmarkModel, ModelDescription
from pipeline.models.weights import without_pretrained
from pipeline.shards.manifest import CropPolicy
from pipeline.training.config.experiment import ExperimentConfig

PAPER = {4: (26.5, 0.076), 8: (21.4, 0.162), 16: (16.8, 0.507), 32: (11.9, 1.919), 64: (4.9, 7.496)}
"""Width of the RCN → frames a second and MB, table 3."""

Side = Callable[[Tensor], Any]


def build(config: ExperimentConfig) -> CropsToLandmarks:
    """An experiment's network with random weights, which cost what trained ones do."""
    markup, side = load_markup("ibug68"), config.input_size
    torch.manual_seed(config.seed)
    with without_pretrained():
        generator = make_generator(config.model, markup, side)
    method = make_method(config.method, config.loss, config.decoder, markup, side, generator)
    description = ModelDescription(
        name=config.name,
        model=config.model,
        loss=config.loss,
        method=config.method,
        decoder=config.decoder,
        markup=markup.name,
        num_landmarks=markup.num_landmarks,
        input_size=side,
        crop=CropPolicy(points="detector", side_factor=3.0, size=side, jpeg_quality=95),
        step=0,
        averaged=False,
        parameters=sum(p.numel() for p in generator.parameters()),
        config_hash="0",
        seed=config.seed,
    )
    return CropsToLandmarks(LandmarkModel(generator, method, description).eval()).eval()


def sides(module: CropsToLandmarks, folder: Path, compiled: bool) -> tuple[dict[str, Side], float | None]:
    """The ways to run a model that this machine has, and MB of the ONNX file."""
    found: dict[str, Side] = {"eager": module}
    if compiled:
        found["compiled"] = torch.compile(module)
    if not has_onnx():
        return found, None
    target, path = find_target("onnx"), folder / "model.onnx"
    target.write(module, str(path))
    found["onnx"] = target.load(str(path))
    return found, path.stat().st_size / 1e6


def has_onnx() -> bool:
    """Whether the extra ``export`` is installed."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))


@torch.no_grad()
def frames_per_second(side: Side, crop_1SS3: Tensor, seconds: float) -> float:
    """Frames a second of CPU time, over at least so many seconds and three frames."""
    frames, began = 0, time.process_time()
    while frames < 3 or time.process_time() - began < seconds:
        side(crop_1SS3)
        frames += 1
    return frames / max(time.process_time() - began, 1e-9)


def measure(config: ExperimentConfig, seconds: float, rounds: int, compiled: bool) -> list[dict[str, Any]]:
    """A row for each round: every side in turn, so that a busy moment of the machine strikes all."""
    module = build(config)
    size = module.size
    crop = torch.randint(
        0, 256, (1, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    megabytes = sum(t.numel() * t.element_size() for t in module.model.generator.state_dict().values()) / 1e6
    width = config.model.parameters.get("width") if config.model.name == "rcn" else None
    paper_fps, paper_megabytes = PAPER.get(width, (None, None)) if isinstance(width, int) else (None, None)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ways, onnx_megabytes = sides(module, Path(folder), compiled)
        for side in ways.values():
            with torch.no_grad():
                side(crop)  # compiles, or allocates
        for number in range(rounds):
            speed = {name: frames_per_second(side, crop, seconds) for name, side in ways.items()}
            row: dict[str, Any] = {
                "name": config.name,
                "model": config.model.name,
                "width": width,
                "input": size,
                "round": number,
            }
            for name in ("eager", "compiled", "onnx"):
                row[f"{name}_fps"] = round(speed[name], 2) if name in speed else None
            for name in ("compiled", "onnx"):
                row[f"{name}_over_eager"] = round(speed[name] / speed["eager"], 3) if name in speed else None
            rows.append(
                {
                    **row,
                    "parameters": module.model.description.parameters,
                    "weights_mb": round(megabytes, 3),
                    "onnx_mb": None if onnx_megabytes is None else round(onnx_megabytes, 3),
                    "paper_fps": paper_fps,
                    "paper_mb": paper_megabytes,
                }
            )
    torch.compiler.reset()
    return rows


def bench(
    config: str,
    widths: Sequence[int],
    others: Sequence[str],
    *,
    seconds: float,
    rounds: int,
    compiled: bool,
    out: str | None,
) -> None:
    """Measure networks and show a table.

    Args:
        config: Experiment of the RCN.
        widths: Its widths c.
        others: Further experiments, as they are.
        seconds: Of each measurement.
        rounds: Measurements of each side.
        compiled: Measure ``torch.compile``, too; needs a C++ compiler.
        out: CSV, or None.

    Raises:
        LandmarkError: A config that cannot be used.
    """
    console = Console()
    torch.set_num_threads(1)
    if compiled and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        console.print("torch.compile is left out: there is no C++ compiler on this machine", style="yellow")
        compiled = False
    if not has_onnx():
        console.print("ONNX Runtime is left out: pip install 'landmark-pipeline\\[export]'", style="yellow")
    configs = [experiment(config, [f"model.width={width}", f"name=rcn-{width}"]) for width in widths]
    configs += [experiment(path, []) for path in others]
    rows: list[dict[str, Any]] = []
    for each in configs:
        rows += measure(each, seconds, rounds, compiled)
        console.print(_table([row for row in rows if row["name"] == each.name]))
        write_csv(out, rows, None, 0)  # after each: the larger networks take minutes


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    first = rows[0]
    told = f"{first['name']}: {first['input']} px, {first['weights_mb']:.3f} MB"
    if first["paper_fps"] is not None:
        told += f"; the paper: {first['paper_mb']} MB, {first['paper_fps']} frames/s on its CPU"
    table = Table(title=told, title_justify="left")
    for heading in ("side", "frames/s, median", "over eager"):
        table.add_column(heading, justify="left" if heading == "side" else "right")
    for name in ("eager", "compiled", "onnx"):
        if first[f"{name}_fps"] is not None:
            ratio = (
                ""
                if name == "eager"
                else f"{statistics.median(row[f'{name}_over_eager'] for row in rows):.2f}"
            )
            table.add_row(name, f"{statistics.median(row[f'{name}_fps'] for row in rows):.1f}", ratio)
    return table
