"""The schema of an experiment. Every field has its unit and reason beside it; unknown keys fail."""

from __future__ import annotations

import os
from operator import attrgetter
from typing import Literal

from pydantic import Field, model_validator

from pipeline.registry import Part, build, check, find
from pipeline.shards.prepare_config import PrepareConfig
from pipeline.strict import Strict
from pipeline.training.config.cluster import ClusterConfig
from pipeline.training.config.data import DataConfig
from pipeline.training.config.evaluation import EvaluationConfig
from pipeline.training.config.init import InitConfig
from pipeline.training.config.parts import OptimizerConfig, ScheduleConfig
from pipeline.training.config.precision import Precision
from pipeline.training.config.scale import ScaleConfig
from pipeline.training.config.selftrain import SelftrainConfig
from pipeline.training.config.tune import TuneConfig
from pipeline.training.config.unlabelled import UnlabelledConfig

# Sections that choose a part, and of which kind.
PARTS: dict[str, str] = {
    "model": "model",
    "loss": "loss",
    "decoder": "decoder",
    "method": "method",
    "augmentation": "augmentation",
    "unlabelled.objective": "objective",
    "optimizer": "optimizer",
    "unlabelled.optimizer": "optimizer",
    "schedule": "schedule",
}


class TrainingConfig(Strict):
    """Length, precision and housekeeping of a run."""

    epochs: float | None = Field(200, gt=0, description="passes over the labelled set; section 4")
    steps: int | None = Field(
        None, ge=1, description="instead of epochs: optimizer steps, whatever the size of the set"
    )
    batch: int = Field(
        16, ge=1, description="labelled faces a step, over all workers; the paper does not say"
    )
    accumulate: int = Field(
        1,
        ge=1,
        description="gradient accumulation: micro-batches that a worker's share of 'batch' goes through the networks in, for "
        "less memory and one more forward; losses, shares and gradients stay the whole batch's, but batch normalisation takes "
        "its moments from a micro-batch",
    )
    channels_last: bool = Field(
        False,
        description="lay images out with the channels innermost, which tensor cores ask for; a CPU gains or loses a little",
    )
    compile: bool = Field(
        False,
        description="torch.compile the generator in training, for a minute at each start; needs a C++ compiler, on a GPU Triton",
    )
    precision: Precision = Field("fp32", description="bf16: autocast with fp32 master weights")
    gradient_clipping: float = Field(0.0, ge=0, description="global norm; 0 is off, as in the paper")
    ema_decay: float = Field(
        0.0, ge=0, lt=1, description="average of the generator's weights; 0 is off, as in the paper"
    )
    cadence: Literal["epochs", "steps"] = Field(
        "epochs",
        description="unit of the three intervals: epochs of the labelled set, or steps, for runs of few labels",
    )
    validate_every: float = Field(1.0, gt=0, description="between validations")
    checkpoint_every: float = Field(1.0, gt=0, description="between checkpoints")
    log_every: int = Field(20, ge=1, description="steps between logged metrics")
    image_every: float = Field(5.0, gt=0, description="between logged overlays and heatmaps")
    select: Literal["best", "last"] = Field(
        "best", description="which model the run hands on: best on validation, or last"
    )
    trace: bool = Field(False, description="write every step's sample keys and exact losses beside the run")


def _tracking_uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///outputs/mlflow.db"


class TrackingConfig(Strict):
    """MLflow."""

    uri: str = Field(
        default_factory=_tracking_uri,
        description="SQLite file, or http(s) address of an MLflow server; default is MLFLOW_TRACKING_URI, else a file",
    )
    experiment: str = "landmarks"
    artifacts: str = Field(
        "outputs/mlartifacts", description="artifact folder of a SQLite store; a server has its own"
    )
    register_as: str | None = Field(
        None,
        description="name in the model registry for the run's, or the search's, best model; null: not registered",
    )
    alias: str = Field(
        "best",
        description="alias that moves to a newly registered model when its error on the held-out split is lower",
    )


def _check_pair(config: ExperimentConfig) -> None:
    """A network, a loss and a decoder that cannot work together fail here; ``training.check`` tries instances."""
    # Here, not above: torch takes seconds, which a command that only reads the schema does without.
    from pipeline.methods.pairs import refuse_pair
    from pipeline.models.output import traits

    chosen = find("loss", config.loss.name)
    decoder = None if config.decoder is None else build("decoder", config.decoder)
    gives = traits(find("model", config.model.name)).gives
    refuse_pair(chosen, gives, decoder)


class ExperimentConfig(Strict):
    """One experiment: one YAML."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,46}$", description="run name: same name = same run = resume"
    )
    seed: int = Field(0, ge=0, description="of initialisation, sample order, dropout and noise")
    input_size: int = Field(
        80, ge=16, description="network input side, px; stored crops of another size are resampled"
    )
    data: DataConfig
    model: Part = Part(name="rcn")
    init: InitConfig | None = Field(
        None, description="a trained model whose weights the generator starts from; null: fresh ones"
    )
    loss: Part = Part(name="laplace_kl")
    decoder: Part | None = Field(
        None,
        description="how landmarks are read from heatmaps; null: as the method, or else the loss, has it",
    )
    method: Part = Field(
        Part(name="laplace"), description="which outputs are supervised, and what a paper adds to the loss"
    )
    augmentation: Part | None = Field(
        None,
        description="changes every training image, labelled and unlabelled alike; null: none, as in the paper",
    )
    unlabelled: UnlabelledConfig = Field(default_factory=UnlabelledConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig.standard)
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig.standard)
    training: TrainingConfig = TrainingConfig()
    cluster: ClusterConfig = ClusterConfig()
    tracking: TrackingConfig = TrackingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    prepare: PrepareConfig | None = Field(
        None, description="how the sets of 'data' are made, by 'landmarks prepare'"
    )
    tune: TuneConfig | None = Field(None, description="what 'landmarks tune' searches")
    scale: ScaleConfig | None = Field(None, description="the grid of 'landmarks scale'")
    selftrain: SelftrainConfig | None = Field(None, description="the rounds of 'landmarks selftrain'")

    @model_validator(mode="after")
    def _possible(self) -> ExperimentConfig:
        """What cannot work fails here, before any process starts."""
        for section, kind in PARTS.items():
            part = attrgetter(section)(self)
            if part is not None:
                check(kind, part)
        _check_pair(self)
        if (self.training.epochs is None) == (self.training.steps is None):
            raise ValueError("set exactly one of training.epochs and training.steps (the other null)")
        multiple = getattr(find("model", self.model.name), "input_multiple", 1)
        if self.input_size % multiple:
            raise ValueError(
                f"input_size = {self.input_size}: model '{self.model.name}' needs a multiple of {multiple}"
            )
        self._unlabelled_possible()
        self._check_extra()
        self._check_micro_batches()
        if self.training.select == "best" and self.data.validation is None:
            raise ValueError("training.select = 'best' needs data.validation; or set training.select=last")
        return self

    def _unlabelled_possible(self) -> None:
        if not self.unlabelled.active:
            return
        if self.data.unlabelled is None:
            raise ValueError(
                "unlabelled.objective is set, but data.unlabelled names no set of unlabelled faces"
            )
        workers, batch = self.cluster.workers, self.training.batch
        # Where the labelled faces cannot be shared either, the plan says so, and more.
        if batch % workers == 0 and self.unlabelled_batch % workers:
            raise ValueError(
                f"training.batch × unlabelled.ratio is {self.unlabelled_batch} unlabelled faces a step, which cluster.workers = "
                f"{workers} cannot share evenly, and what a step sees never depends on their number: set another one, or "
                f"unlabelled.ratio={max(round(self.unlabelled_batch / workers), 1) * workers / batch:g}"
            )

    def _check_extra(self) -> None:
        if self.data.extra and (min(self.extra_batches) < 1 or self.train_batch < 1):
            raise ValueError(
                f"training.batch = {self.training.batch}: with data.extra it holds {self.train_batch} faces of data.train and "
                f"{', '.join(map(str, self.extra_batches))} of the extra sets; each needs one: a larger batch, or other shares"
            )
        uneven = [n for n in (self.train_batch, *self.extra_batches) if n % self.cluster.workers]
        if self.data.extra and uneven:
            raise ValueError(
                f"data.extra: {uneven[0]} faces of a set in each batch cannot be shared evenly by cluster.workers = "
                f"{self.cluster.workers}: choose training.batch and shares so that each part is a multiple of it"
            )

    def _check_micro_batches(self) -> None:
        parts, share = self.training.accumulate, max(self.training.batch // self.cluster.workers, 1)
        if parts > share:
            raise ValueError(
                f"training.accumulate = {parts}: a worker has {share} labelled faces a step, and each micro-batch needs one; set "
                f"training.accumulate={share} or less"
            )

    @property
    def extra_batches(self) -> tuple[int, ...]:
        """Faces of each set of ``data.extra`` a step, over all workers: the same for any number of them."""
        return tuple(round(self.training.batch * extra.share) for extra in self.data.extra)

    @property
    def train_batch(self) -> int:
        """Faces of ``data.train`` a step, over all workers."""
        return self.training.batch - sum(self.extra_batches)

    @property
    def unlabelled_batch(self) -> int:
        """Unlabelled faces a step, over all workers: the same for any number of them; 0 without an objective."""
        if not self.unlabelled.active:
            return 0
        return max(round(self.training.batch * self.unlabelled.ratio), 1)
