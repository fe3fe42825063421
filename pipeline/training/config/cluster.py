"""The ``cluster`` section of a config."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pipeline.strict import Strict


class ClusterConfig(Strict):
    """Where the workers run."""

    workers: int = Field(1, ge=1, description="Ray Train workers, one per GPU on a GPU cluster")
    min_workers: int | None = Field(
        None,
        ge=1,
        description="elastic: start with this many and follow the cluster up to 'workers', in divisors of data.streams; "
        "null: exactly 'workers'",
    )
    gpu: bool = Field(False, description="workers train on GPUs")
    gpus_per_worker: float = Field(
        1.0,
        gt=0,
        le=1,
        description="a fraction lets small runs of a search share a GPU; 1 for several workers (NCCL)",
    )
    cpus_per_worker: int = Field(
        1, ge=1, description="CPU cores per worker; also its torch threads without a GPU"
    )
    zero_stage: Literal[0, 1, 2] = Field(
        0, description="DeepSpeed ZeRO; 3 would shard weights that fit in any cache here"
    )
    max_failures: int = Field(
        0, ge=0, description="worker failures survived within one command; rerunning it resumes in any case"
    )
    storage: str = Field(
        "outputs/runs",
        description="runs live in storage/name: a folder, on a cluster one that all nodes share, or an object store's URL",
    )
    collective_timeout_s: int = Field(
        1800,
        ge=1,
        description="after so long without progress, a worker that does not answer is named and the run fails",
    )
    keep_checkpoints: int = Field(2, ge=1, description="latest checkpoints kept for resuming")

    @model_validator(mode="after")
    def _elastic(self) -> ClusterConfig:
        if self.min_workers is not None and self.min_workers > self.workers:
            raise ValueError(
                f"cluster.min_workers = {self.min_workers} is above cluster.workers = {self.workers}"
            )
        if self.gpu and self.gpus_per_worker < 1 and self.workers > 1:
            raise ValueError(
                "cluster.gpus_per_worker < 1 would put several workers of one run on a GPU, which NCCL refuses; set "
                "cluster.workers=1"
            )
        if self.min_workers is not None and self.zero_stage:
            raise ValueError(
                "cluster.min_workers is set, but a DeepSpeed checkpoint of ZeRO 1 or 2 belongs to one number of workers; set "
                "cluster.zero_stage=0, or give up elasticity with cluster.min_workers=null"
            )
        return self
