"""Config of ``landmarks prepare``: which data sets become which prepared sets, and how faces are cut out."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.datasets._decode import MAX_PIXELS
from pipeline.faces.detector_config import DetectorConfig
from pipeline.shards.manifest import CropPoints, CropPolicy
from pipeline.strict import Strict

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}")


class CropConfig(Strict):
    """Where the stored square lies and how it is encoded."""

    points: CropPoints = Field(
        default="detector",
        description="what the square is placed around: the detector's five points (pupils, nose tip, mouth corners), as for "
        "faces nobody has labelled; the labelled landmarks, their own five points where the markup names them, else all; the "
        "data set's box; or the whole image. The last three need no faces: hands, cats and ears are cropped so",
    )
    side_factor: float = Field(
        default=3.0,
        gt=0,
        description="side of the square / longer side of what it is placed around; 3 for five points (see "
        "pipeline/faces/crop.py), some 1.5 for all landmarks, 1.2 for a box; 1, the default there, for the whole image",
    )
    size: int = Field(
        default=80, ge=16, le=2048, description="stored side, px; the paper's generator takes 80"
    )
    jpeg_quality: int = Field(default=95, ge=1, le=100, description="stored without chroma subsampling")

    @model_validator(mode="before")
    @classmethod
    def _whole_image(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("points") == "image":
            return {"side_factor": 1.0, **raw}
        return raw

    def policy(self) -> CropPolicy:
        """The same, as the manifest records it."""
        return CropPolicy.model_validate(self.model_dump())


class ValidationConfig(Strict):
    """The part of a labelled training set that is held out, so that no choice is ever made on a test set."""

    name: str = "validation"
    share: float = Field(default=0.1, gt=0, lt=1, description="of the images")
    seed: int = Field(default=0, description="of the draw")
    drop_near_duplicates: bool = Field(
        default=True,
        description="leave held-out images out that the training part has too, re-encoded or re-cropped: "
        "published sets repeat themselves (17 training images of 300-W had a copy in the tenth held out)",
    )


class SetConfig(Strict):
    """One data set to prepare."""

    name: str = Field(description="names its subfolder and shards, e.g. train")
    role: Literal["labelled", "unlabelled"]
    split: Literal["train", "validation", "test"] = "train"
    subset: str | None = Field(
        default=None, description="which part of the data set's split, as protocols name it, e.g. common"
    )
    reader: dict[str, Any] = Field(description="{reader: NAME, …its parameters}; see pipeline/datasets")
    validation: ValidationConfig | None = Field(
        default=None, description="hold a part out as a set of its own"
    )
    crop: CropConfig | None = Field(default=None, description="overrides the common one")
    several_faces: Literal["keep_largest", "reject"] = Field(
        default="keep_largest",
        description="unlabelled images only; a labelled face is found by its landmarks",
    )
    drop_near_duplicates_of: tuple[str, ...] = Field(
        default=(),
        description="sets of this config; images that occur in them (re-encoded, resized) are left out",
    )

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"'{name}' becomes file names: use letters, digits, '-' and '_', at most 48")
        return name

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.validation is not None and (self.role, self.split) != ("labelled", "train"):
            raise ValueError(
                f"set '{self.name}': only a labelled training set has a validation part; remove 'validation'"
            )
        return self


class PrepareConfig(Strict):
    """The whole preparation."""

    out: str = Field(description="folder or URL; each set gets its own subfolder")
    crop: CropConfig = CropConfig()
    samples_per_shard: int = Field(
        default=256,
        ge=1,
        description="small, so that a set gives each of the stream's canonical streams a shard",
    )
    min_face_px: float = Field(
        default=32.0,
        ge=0,
        description="smallest side of the square in the original image, px; smaller faces are blurred",
    )
    max_image_mpx: float = Field(
        default=MAX_PIXELS / 1e6,
        gt=0,
        # Pillow refuses larger ones itself, as decompression bombs.
        le=178,
        description="larger images are left out: a file of a few kB can claim gigapixels. A worker holds 3 bytes a pixel, "
        "several times over while it decodes",
    )
    detector: DetectorConfig = DetectorConfig()
    on_no_face: Literal["landmarks", "reject"] = Field(
        default="landmarks",
        description="labelled faces that the detector misses: place the square by the landmarks' own five "
        "points, so that a test set keeps every face (counted as landmark_placed_share), or leave them out",
    )
    max_reject_share: float = Field(
        default=0.5, ge=0, le=1, description="stop, with the reasons, if more is left out"
    )
    sets: tuple[SetConfig, ...] = Field(min_length=1)

    @field_validator("detector", mode="before")
    @classmethod
    def _strict_detector(cls, value: Any) -> Any:
        # DetectorConfig is a plain dataclass, whose unknown keys pydantic would drop in silence.
        if isinstance(value, dict):
            known = [field.name for field in fields(DetectorConfig)]
            for key in value:
                if key not in known:
                    raise ValueError(f"unknown field '{key}'; known: {', '.join(known)}")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        produced: list[str] = []
        for entry in self.sets:
            for reference in entry.drop_near_duplicates_of:
                if reference not in produced:
                    raise ValueError(
                        f"set '{entry.name}': drop_near_duplicates_of names '{reference}', which is none of "
                        f"the sets listed before it ({', '.join(produced) or 'none'}); list it first"
                    )
            produced += [entry.name] + ([entry.validation.name] if entry.validation else [])
            points = self.crop_of(entry).points
            if entry.role == "unlabelled" and points in {"landmarks", "box"}:
                missing = "landmarks" if points == "landmarks" else "boxes"
                raise ValueError(
                    f"set '{entry.name}': unlabelled faces have no {missing}; set crop.points to detector, or to image"
                )
        for name in produced:
            if produced.count(name) > 1:
                raise ValueError(f"two sets are called '{name}'; rename one")
        return self

    def crop_of(self, entry: SetConfig) -> CropConfig:
        """The set's own crop, or the common one."""
        return entry.crop or self.crop
