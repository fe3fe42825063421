"""The ``data`` section of an experiment's config."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.strict import Strict
from pipeline.training.balance import BalanceConfig


class DataConfig(Strict):
    """Which prepared sets, and in which order their samples come."""

    train: str = Field(description="folder of the labelled training set (holds manifest.json); path or URL")
    validation: str | None = Field(
        None, description="held out of the training set; the only set that selects a model"
    )
    unlabelled: str | None = Field(None, description="faces without landmarks")
    test: str | None = Field(None, description="measured by 'landmarks evaluate'; training never opens it")
    labelled_count: int | None = Field(
        None, ge=1, description="use this many labelled faces; smaller counts nest in larger"
    )
    unlabelled_count: int | None = Field(
        None, ge=1, description="use this many unlabelled faces; likewise nested"
    )
    subset_seed: int = Field(0, ge=0, description="which nested subsets; apart from the training seed")
    occluded: Literal["include", "mask"] = Field(
        "include",
        description="train on landmarks marked invisible whose position is known (300-W has them), or mask them",
    )
    streams: int = Field(
        64,
        ge=1,
        description="C, canonical streams; any number of workers that divides it sees the same batches",
    )
    shuffle_buffer: int = Field(256, ge=1, description="samples held by each stream's shuffle buffer")
    decode_threads: int = Field(1, ge=1, description="JPEG decoding threads per worker and set")
    prefetch_batches: int = Field(4, ge=1, description="decoded batches held ready per worker and set")
    balance: BalanceConfig = Field(BalanceConfig(), description="over the poses of labelled faces")
    focal_attributes: tuple[str, ...] = Field(
        (),
        description="attributes (0 or 1) of labelled faces; those of a batch with rare ones weigh more (PropNet's focal factor, "
        "ADNet*): on WFLW pose, expression, illumination, make_up, occlusion, blur",
    )
    max_bad_share: float = Field(
        0.01, ge=0, le=1, description="share of undecodable samples over which the run stops"
    )
