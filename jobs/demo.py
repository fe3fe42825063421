"""``landmarks demo``: the whole line, end to end, on faces the project draws itself."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from jobs.evaluate import evaluate
from jobs.prepare import prepare
from jobs.settings import experiment
from jobs.train import train
from jobs.verify import verify
from pipeline.errors import ConfigError
from pipeline.storage import absolute
from pipeline.training.run import run_folder_of
from pipeline.training.tracking_store import absolute_uri

# Overrides that leave labelled faces alone to teach.
SUPERVISED = ("unlabelled.objective=null", "unlabelled.objectives=[]")


def demo(path: str, overrides: Sequence[str]) -> None:
    """Prepare, verify, train with and without the unlabelled faces for the same number of steps, evaluate both.

    Args:
        path: Experiment with a ``prepare`` section and an unlabelled objective.
        overrides: Dotted overrides.

    Raises:
        LandmarkError: Anything a user can act on.
    """
    from jobs.cluster.session import ray_session

    console = Console()
    semi = experiment(path, overrides)
    if semi.prepare is None or not semi.unlabelled.active or semi.data.unlabelled is None:
        raise ConfigError(
            f"{path}: the demo needs a section 'prepare', an unlabelled.objective and data.unlabelled"
        )
    supervised = experiment(path, [*overrides, f"name={semi.name}-supervised", *SUPERVISED])
    sets_config = semi.prepare
    semi = experiment(path, [*overrides, f"name={semi.name}-semi-supervised"])
    with ray_session():
        _heading(console, "1/4 prepare: draw faces, detect them, cut them out, write shards")
        prepare(sets_config)
        _heading(console, "2/4 verify")
        if verify(list(semi.data.sets().values())) != 0:
            raise ConfigError(f"{path}: the prepared sets are not sound; see above")
        _heading(
            console, "3/4 train: labelled faces alone, then with unlabelled faces, the same number of steps"
        )
        for config in (supervised, semi):
            train(config, console)
        _heading(console, "4/4 evaluate")
        out = absolute(f"outputs/evaluation/{semi.name.removesuffix('-semi-supervised')}")
        evaluate(
            [run_folder_of(supervised), run_folder_of(semi)],
            out=out,
            title="Demo: what unlabelled faces add",
            console=console,
        )
    uri = absolute_uri(semi.tracking.uri)
    console.print(
        f"MLflow's page: .venv/bin/mlflow ui --backend-store-uri {uri}", soft_wrap=True, highlight=False
    )


def _heading(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}", highlight=False)


if __name__ == "__main__":
    from jobs.cli import main

    main("demo")
