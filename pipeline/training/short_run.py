"""A run cut down to a measurement: the same parts, faces and batches, for some steps, into a folder of its own."""

from __future__ import annotations

from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.run import with_absolute_paths

WINDOW = 10
"""Steps between published metrics, on which a step is timed; the first window warms up."""


def short_run(
    config: ExperimentConfig, steps: int, folder: str, name: str, *, validated: bool, share: int = 1
) -> ExperimentConfig:
    """The experiment for some steps with one worker, which writes nothing outside a folder.

    Args:
        config: The experiment.
        steps: Timed steps, whole windows of them; the first window comes on top.
        folder: For everything the run writes.
        name: Of the run.
        validated: Whether it validates, draws and saves once, at its end; or saves alone.
        share: Of each batch, one in so many faces: a worker's, of as many.

    Raises:
        ConfigError: A batch that cannot be shared so.
    """
    raw = with_absolute_paths(config).model_dump(mode="json")
    raw["name"] = name
    if not validated:
        raw["data"] |= {"validation": None}
        raw["training"] |= {"select": "last"}
    raw["unlabelled"] |= {"start_step": 0}
    never = {"checkpoint_every": 1e9, "validate_every": 1e9, "image_every": 1e9}
    raw["training"] |= never | {
        "epochs": None,
        "steps": WINDOW + steps,
        "batch": config.training.batch // share,
        "log_every": WINDOW,
        "trace": False,
    }
    raw["cluster"] |= {"workers": 1, "min_workers": None, "storage": f"{folder}/runs"}
    raw["tracking"] |= {
        "uri": f"sqlite:///{folder}/mlflow.db",
        "artifacts": f"{folder}/artifacts",
        "register_as": None,
    }
    return ExperimentConfig.model_validate(raw)
