"""A search before it runs: checked against its config, its folder claimed, and the config of every training in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.evaluation import provenance
from pipeline.shards.manifest import join, manifest_url
from pipeline.storage import absolute, is_local
from pipeline.studies.search.space import check_space, own_values, values_hash
from pipeline.studies.search.trials import Search, Trial
from pipeline.training.claim import claim
from pipeline.training.config.compose import with_values
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.config.tune import TuneConfig, Value
from pipeline.training.identity import WHERE
from pipeline.training.plan import make_plan
from pipeline.training.run import with_absolute_paths


@dataclass(frozen=True)
class SearchPlan:
    """What a search runs.

    Attributes:
        config: The experiment, with absolute paths.
        settings: Its section ``tune``.
        folder: storage/name of the search.
        steps: Optimizer steps of a whole trial.
        default: The config's own values of the searched keys.
    """

    config: ExperimentConfig
    settings: TuneConfig
    folder: str
    steps: int
    default: dict[str, Value]

    @property
    def outside(self) -> list[str]:
        """Keys whose space does not hold the config's own value."""
        return [
            key for key, parameter in self.settings.space.items() if not parameter.holds(self.default[key])
        ]

    @property
    def first(self) -> dict[str, Value] | None:
        """Values of trial 0, which is never stopped: what the others are compared with. None lets the sampler choose."""
        return self.default if self.settings.default_first and not self.outside else None

    @property
    def seeds(self) -> tuple[int, ...]:
        """One training per trial and seed."""
        return tuple(self.config.seed + i for i in range(self.settings.seeds))

    def claim(self) -> None:
        """Record the search in its folder, or check that it is the recorded one.

        Raises:
            ConfigError: Another search's folder, or one that is no path.
        """
        if not is_local(self.folder):
            raise ConfigError(
                f"tune.storage = {self.folder}: Ray Tune's record of a search needs a path; mount shared storage"
            )
        claim(self.config, self.folder, "search", WHERE - {"tune"}, _essence)

    def trial_name(self, values: Mapping[str, Value]) -> str:
        """Stem of the names of a trial's runs; a seed follows."""
        return f"{self.config.name[:30]}-{values_hash(values)}"

    def training(self, values: Mapping[str, Value], seed: int) -> ExperimentConfig:
        """What one training of a trial runs.

        Raises:
            ConfigError: Values that do not go together.
        """
        name = f"{self.trial_name(values)}-s{seed}"
        own = {
            "name": name,
            "seed": seed,
            "cluster.storage": join(self.folder, "runs"),
            "tracking.register_as": None,
        }
        bare = self.config.model_copy(update={"tune": None, "scale": None})
        return with_values(bare, {**values, **own}, f"trial {name}")

    def record(self, trials: Sequence[Trial]) -> Search:
        """The record of the search with these trials."""
        assert self.config.data.validation is not None  # checked first
        return Search(
            name=self.config.name,
            space=self.settings.space,
            default=self.default,
            trials=tuple(trials),
            planned=self.settings.trials,
            seeds=self.seeds,
            validation=Path(manifest_url(self.config.data.validation)).parent.name,
            provenance=provenance.collect(
                config_hash(self.config, WHERE), self.config.seed, sampler_seed=self.settings.sampler_seed
            ),
        )


def _essence(config: ExperimentConfig) -> ExperimentConfig:
    """A search's config without how many trials run at once, which is no part of what it finds."""
    assert config.tune is not None  # it was claimed with one
    return config.model_copy(update={"tune": config.tune.model_copy(update={"concurrent": None})})


def plan_search(config: ExperimentConfig) -> SearchPlan:
    """Check a search before anything starts.

    Raises:
        ConfigError: No section ``tune``, a space that does not fit the config, or nothing to compare trials by.
    """
    if config.tune is None:
        raise ConfigError(
            f"'{config.name}' has no section 'tune': name the keys to search and their values (tune.space)"
        )
    if config.data.validation is None or config.training.select != "best":
        raise ConfigError(
            "a search needs data.validation and training.select=best: its objective is the best error there"
        )
    check_space(config, config.tune.space)
    config = with_absolute_paths(config)
    assert config.tune is not None  # as above
    folder = absolute(join(config.tune.storage, config.name))
    return SearchPlan(
        config, config.tune, folder, make_plan(config).steps, own_values(config, config.tune.space)
    )
