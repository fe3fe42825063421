"""``landmarks calibrate``: the temperature of a model's confidences, fitted on held-out faces and kept beside its weights."""

from __future__ import annotations

from rich.console import Console

from pipeline.errors import ConfigError
from pipeline.inference.calibration import CALIBRATION, Calibration, save_calibration, summary
from pipeline.inference.stored import calibrate as fit
from pipeline.inference.trained import find_trained
from pipeline.methods.model_file import load_model
from pipeline.shards.manifest import join
from pipeline.storage import absolute


def calibrate(argument: str, *, data: str | None = None, console: Console | None = None) -> Calibration:
    """Fit and write ``calibration.json``.

    Args:
        argument: Config, run folder, model folder or registered model.
        data: Labelled set; default is the config's ``data.validation``.
        console: Where to print what was fitted.

    Raises:
        LandmarkError: Anything a user can act on.
    """
    console, model = console or Console(), find_trained(argument)
    if data is None and model.config is not None:
        data = model.config.data.validation
    if data is None:
        raise ConfigError(f"{argument}: nothing says which faces were held out: give --data SET")
    calibration = fit(load_model(model.folder), absolute(data))
    save_calibration(model.folder, calibration)
    for line in summary(calibration.fits):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"calibration: {join(model.folder, CALIBRATION)}", highlight=False, soft_wrap=True)
    return calibration


if __name__ == "__main__":
    from jobs.cli import main

    main("calibrate")
