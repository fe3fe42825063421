"""The ``data`` section of an experiment's config."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.storage import absolute
from pipeline.strict import Strict
from pipeline.training.balance import BalanceConfig


class UnlabelledSets(Strict):
    """Where faces without labels come from; one path alone stands for ``{corpora: [path]}``."""

    corpora: tuple[str, ...] = Field((), description="folders of prepared unlabelled sets")
    remainder: bool = Field(
        False,
        description="the faces of data.train beyond labelled_count, without their landmarks: the protocol of the field",
    )

    @model_validator(mode="after")
    def _some(self) -> UnlabelledSets:
        if not self.corpora and not self.remainder:
            raise ValueError("data.unlabelled names no faces: list corpora, or set remainder: true, or null")
        if len(set(self.corpora)) != len(self.corpora):
            raise ValueError("data.unlabelled.corpora names a set twice")
        return self


class ShrinkConfig(Strict):
    """Labels that are right only nearly: within a radius that shrinks to 0 (:mod:`pipeline.training.shrink`)."""

    radius: float = Field(0.05, gt=0, lt=1, description="at step 0, as a share of the network's input side")
    until: float = Field(0.5, gt=0, le=1, description="share of the run at which the radius has become 0")


class ExtraSet(Strict):
    """A labelled set mixed into every step's labelled faces: drawn faces, faces with pseudo-labels."""

    set: str = Field(description="folder of a prepared labelled set of data.train's markup")
    share: float = Field(
        gt=0, lt=1, description="of training.batch, rounded to whole faces of the global batch"
    )
    shrink: ShrinkConfig | None = Field(None, description="for labels that are not exact; null: they are")


class DataConfig(Strict):
    """Which prepared sets, and in which order their samples come."""

    train: str = Field(description="folder of the labelled training set (holds manifest.json); path or URL")
    validation: str | None = Field(
        None, description="held out of the training set; the only set that selects a model"
    )
    unlabelled: UnlabelledSets | None = Field(
        None, description="faces without landmarks; a path, or see there"
    )
    extra: tuple[ExtraSet, ...] = Field(
        (),
        description="labelled sets that take a share of each batch; an epoch remains a pass over data.train",
    )
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
    decode_threads: int | None = Field(
        None,
        ge=1,
        description="JPEG decoding threads per worker and set; null: 1, on a GPU all of cluster.cpus_per_worker but one, shared "
        "among the sets",
    )
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

    @field_validator("unlabelled", mode="before")
    @classmethod
    def _one_path(cls, value: Any) -> Any:
        return {"corpora": (value,)} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _leaves_some(self) -> DataConfig:
        if self.unlabelled is not None and self.unlabelled.remainder and self.labelled_count is None:
            raise ValueError(
                "data.unlabelled.remainder takes the faces beyond data.labelled_count, which is null: all are labelled"
            )
        return self

    def sets(self) -> dict[str, str]:
        """Every prepared set that is named, by its dotted key below ``data``."""
        found = {"train": self.train, "validation": self.validation}
        if self.unlabelled is not None:
            found |= {f"unlabelled.corpora.{i}": path for i, path in enumerate(self.unlabelled.corpora)}
        found |= {f"extra.{i}.set": extra.set for i, extra in enumerate(self.extra)}
        return {key: path for key, path in (found | {"test": self.test}).items() if path is not None}

    def with_absolute_paths(self) -> DataConfig:
        """The same sets, found from any working directory."""
        raw = self.model_dump()
        for key in ("train", "validation", "test"):
            raw[key] = raw[key] and absolute(raw[key])
        for extra in raw["extra"]:
            extra["set"] = absolute(extra["set"])
        if self.unlabelled is not None:
            raw["unlabelled"]["corpora"] = tuple(map(absolute, self.unlabelled.corpora))
        return DataConfig.model_validate(raw)
