"""The runs of a scaling study before they run: a config per cell of its grid, every one checked before the first is trained."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from pipeline.errors import ConfigError
from pipeline.shards.manifest import join
from pipeline.storage import absolute
from pipeline.studies.scaling.cells import Cell, group_of
from pipeline.training.config.compose import with_values
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.config.scale import MethodConfig, ScaleConfig
from pipeline.training.identity import WHERE
from pipeline.training.plan import checked, derive
from pipeline.training.run import with_absolute_paths


@dataclass(frozen=True)
class StudyPlan:
    """Cells and the runs that fill them.

    Attributes:
        config: The experiment.
        settings: Its section ``scale``.
        folder: storage/name of the study.
        cells: Cell → name of its run. Cells that compute the same share one.
        runs: Name → config.
        steps: Name → optimizer steps.
    """

    config: ExperimentConfig
    settings: ScaleConfig
    folder: str
    cells: dict[Cell, str]
    runs: dict[str, ExperimentConfig]
    steps: dict[str, int]

    @property
    def facts(self) -> dict[str, str]:
        """What will be trained, by the names of the section's fields."""
        scale, steps = self.settings, sorted(set(self.steps.values()))
        alone = scale.supervised_labelled
        images = sum(self.steps[n] * (c.training.batch + c.unlabelled_batch) for n, c in self.runs.items())
        return {
            "methods": ", ".join(scale.methods),
            "labelled": ", ".join(f"{n:,}" for n in scale.labelled),
            **({"labelled alone": ", ".join(f"{n:,}" for n in alone)} if alone else {}),
            "unlabelled": ", ".join(f"{n:,}" for n in scale.unlabelled),
            "widths": ", ".join(map(str, scale.widths or ("the config's",))),
            "seeds": ", ".join(map(str, scale.seeds)),
            "runs": f"{len(self.runs)} for {len(self.cells)} cells, of {', '.join(f'{s:,}' for s in steps)} steps",
            "images": f"{images:,} in all",
        }


def plan_study(config: ExperimentConfig) -> StudyPlan:
    """Spell a study out.

    Raises:
        ConfigError: No section ``scale``, a cell that cannot work, or a comparison whose sides would be trained for different
            numbers of steps.
        ManifestError: A set is missing.
    """
    scale = config.scale
    if scale is None:
        raise ConfigError(
            f"'{config.name}' has no section 'scale': name numbers of unlabelled and labelled faces (scale.unlabelled, "
            "scale.labelled)"
        )
    if config.evaluation.special:
        raise ConfigError(
            f"evaluation.{config.evaluation.special[0]}: a study measures the test set as it is, in its own markup; remove it, "
            "and ask 'landmarks evaluate' for it with the study's runs"
        )
    folder = absolute(join(scale.storage, config.name))
    base = with_absolute_paths(config)
    cells: dict[Cell, str] = {}
    runs: dict[str, ExperimentConfig] = {}
    steps: dict[str, int] = {}
    by_content: dict[str, str] = {}
    columns: set[tuple[str, int | None, bool]] = set()
    for cell in _cells(scale):
        chosen = _cell_config(base, scale, folder, cell)
        # The supervised cells of methods that differ in what they do with unlabelled faces are one and the same run.
        content = config_hash(chosen, WHERE | {"name"})
        name = by_content.setdefault(content, chosen.name)
        cells[cell] = name
        if name not in runs:
            runs[name] = chosen
            plan = derive(chosen)
            # Cells of a column differ in numbers of faces and seeds alone: its parts are tried once.
            column = (cell.method, cell.width, cell.unlabelled > 0)
            if column not in columns:
                checked(plan)
                columns.add(column)
            steps[name] = plan.steps
    _check_steps(cells, steps)
    return StudyPlan(config, scale, folder, cells, runs, steps)


def _cells(scale: ScaleConfig) -> list[Cell]:
    counts = [*product(scale.labelled, scale.unlabelled), *((n, 0) for n in scale.supervised_labelled)]
    # Seeds outermost: a study that is stopped early has whole comparisons, of fewer seeds.
    return [
        Cell(labelled, unlabelled, method, width, seed)
        for seed, method, width, (labelled, unlabelled) in product(
            scale.seeds, scale.methods, scale.widths or (None,), counts
        )
    ]


def _cell_config(base: ExperimentConfig, scale: ScaleConfig, folder: str, cell: Cell) -> ExperimentConfig:
    method: MethodConfig = scale.methods[cell.method]
    values: dict[str, Any] = dict(method.set)
    if cell.width is not None:
        values["model.width"] = cell.width
    values |= method.semi_supervised if cell.unlabelled else method.supervised
    values |= {
        "name": _run_name(cell),
        "seed": cell.seed,
        "data.subset_seed": cell.seed,
        "data.labelled_count": cell.labelled,
        "data.unlabelled_count": cell.unlabelled or None,
        "cluster.storage": join(folder, "runs"),
        "tracking.register_as": None,
    }
    if not cell.unlabelled:
        values |= {"unlabelled.objective": None, "unlabelled.objectives": []}
    bare = base.model_copy(update={"tune": None, "scale": None})
    chosen = with_values(bare, values, f"scale, {cell}")
    if cell.unlabelled and not chosen.unlabelled.active:
        raise ConfigError(
            f"scale, {cell}: unlabelled.objective is null: name the objective that uses unlabelled faces, in the config or in "
            f"scale.methods.{cell.method}.semi_supervised"
        )
    return chosen


def _run_name(cell: Cell) -> str:
    width = "" if cell.width is None else f"-w{cell.width}"
    return f"{cell.method}{width}-l{cell.labelled}-u{cell.unlabelled}-s{cell.seed}"


def _check_steps(cells: dict[Cell, str], steps: dict[str, int]) -> None:
    supervised = {(group_of(c), c.seed): steps[name] for c, name in cells.items() if not c.unlabelled}
    for cell, name in cells.items():
        own = supervised[group_of(cell), cell.seed]
        if steps[name] != own:
            raise ConfigError(
                f"scale, {cell}: {steps[name]:,} steps against {own:,} of its supervised column: give both the same length "
                "(training.steps) and batch"
            )
