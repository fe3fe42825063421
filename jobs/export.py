"""``landmarks export``: a trained model as one file for other runtimes, compared with the model before it is handed over."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.console import Console

from pipeline.errors import ConfigError, TrainingError
from pipeline.inference.export import find_target
from pipeline.inference.export.compare import Difference, compare, drawn_crops, stored_crops
from pipeline.inference.export.module import CropsToLandmarks
from pipeline.inference.trained import find_trained
from pipeline.methods.model_file import load_model
from pipeline.storage import absolute, atomic_writer, is_local
from pipeline.words import counted


def export(
    argument: str,
    *,
    to: str,
    out: str | None = None,
    data: str | None = None,
    faces: int = 64,
    max_difference: float = 0.01,
    console: Console | None = None,
) -> Difference:
    """Write the file, run it on faces, and compare.

    Args:
        argument: Config, run folder, model folder or registered model.
        to: Target: ``onnx`` or ``torch``.
        out: File; default is ``NAME.onnx`` or ``NAME.pt2`` here.
        data: Prepared set to compare on; default is faces the project draws.
        faces: Compared.
        max_difference: px of the crop; over it the file is removed and the export fails.
        console: Where to print.

    Raises:
        LandmarkError: Anything a user can act on.
    """
    console, target = console or Console(), find_target(to)
    found = find_trained(argument)
    path = absolute(out or f"{found.name}{target.suffix}")
    if not is_local(path):
        raise ConfigError(f"--out {path}: exporters write to disk alone: give a local path and copy the file")
    policy = found.description.crop
    crops = (
        drawn_crops(policy, faces) if data is None else stored_crops(absolute(data), found.description, faces)
    )
    module = CropsToLandmarks(load_model(found.folder)).eval()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    temporary = str(Path(path).with_name(f".{Path(path).name}.tmp{target.suffix}"))
    try:
        target.write(module, temporary)
        difference = compare(module, target.load(temporary), crops)
        told = f"{difference.points:.2g} px of the {policy.size} px crop, over {counted(difference.faces, 'face')}"
        if not difference.points <= max_difference:
            raise TrainingError(
                f"{to}: its landmarks differ from the model's by up to {told}: more than --max-difference {max_difference:g}"
            )
        with Path(temporary).open("rb") as written, atomic_writer(path) as file:
            shutil.copyfileobj(written, file)
    finally:
        Path(temporary).unlink(missing_ok=True)
    size = Path(path).stat().st_size / 1e6
    console.print(f"largest difference from the model: {told}", highlight=False, soft_wrap=True)
    console.print(
        f"{path}: {size:.2f} MB, {policy.size}×{policy.size} px uint8 crops in, landmarks in their pixels out",
        highlight=False,
        soft_wrap=True,
    )
    return difference


if __name__ == "__main__":
    from jobs.cli import main

    main("export")
