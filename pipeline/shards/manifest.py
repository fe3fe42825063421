"""The manifest: what a prepared set is, and everything a reader needs to trust and address its tars.

A prepared set is a folder (or an object-store prefix) of plain WebDataset tars and one ``manifest.json``. Each sample is
two adjacent members, ``KEY.jpg`` and ``KEY.json``; see ``SampleMeta`` for the second. Nothing in a manifest depends on when
or where it was written, so that preparing twice gives the same bytes.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from pipeline.errors import ManifestError
from pipeline.faces.crop import Crop
from pipeline.markup import Markup, load_markup, markup_from
from pipeline.shards.shard_list import ShardList
from pipeline.storage import open_text
from pipeline.strict import Strict

FORMAT = "landmark-pipeline/manifest"
VERSIONS = (1, 2)
"""The second holds its shards as columns, which earlier releases could not read."""
MANIFEST_NAME = "manifest.json"


CropPoints = Literal["detector", "landmarks", "box", "image"]
"""What the stored square is placed around: the detector's five points; the labelled landmarks (their own five points where the
markup has some, else all that are known); the box that the data set gives; the whole image."""


class CropPolicy(Strict):
    """How the stored square was placed and encoded."""

    points: CropPoints = Field(description="what the square is placed around")
    side_factor: float = Field(
        gt=0,
        description="side of the square / longer side of the points' bounding box, of the box, or of the image",
    )
    size: int = Field(ge=16, description="stored side, px")
    jpeg_quality: int = Field(ge=1, le=100)


class Manifest(Strict):
    """A prepared set."""

    format: Literal["landmark-pipeline/manifest"] = "landmark-pipeline/manifest"
    version: Literal[1] = 1
    name: str = Field(description="set name, e.g. 300w-train")
    role: Literal["labelled", "unlabelled"]
    split: Literal["train", "validation", "test"]
    dataset: str | None = Field(
        default=None, description="data set its images are of, e.g. 300w; null where nobody wrote it down"
    )
    subset: str | None = Field(
        default=None, description="which part of the data set's split, as protocols name it, e.g. common"
    )
    attributes: tuple[str, ...] = Field(
        default=(), description="names of what its samples state beside landmarks"
    )
    markup: str | None = Field(description="markup name; null for an unlabelled set")
    markup_definition: dict[str, Any] | None = Field(
        default=None, description="the markup itself, the fields of its YAML, where it is no packaged one"
    )
    num_landmarks: int = Field(ge=0)
    pose: tuple[float | None, ...] | None = Field(
        default=None,
        description="pose of each labelled face, in order: its place along the first principal component of the aligned shapes, "
        "in standard deviations; what data.balance weighs samples by. Null where a face's is unknown",
    )
    crop: CropPolicy
    samples: int = Field(ge=1)
    shards: ShardList
    source: dict[str, Any] = Field(description="the reader and its parameters, paths as given")
    rejected: dict[str, int] = Field(
        default_factory=dict, description="reason → images left out (rejected.jsonl lists them)"
    )
    statistics: dict[str, float] = Field(
        default_factory=dict, description="e.g. share of landmarks the crop cuts off"
    )
    config_hash: str = Field(description="hash of the preparation's resolved config for this set")

    def model_post_init(self, _context: object) -> None:
        """Counts must add up: everything downstream addresses samples by them."""
        total = int(self.shards.samples_S.sum())
        if total != self.samples:
            raise ValueError(f"field 'samples' is {self.samples}, but its shards hold {total}")
        if self.pose is not None and len(self.pose) != self.samples:
            raise ValueError(f"field 'pose' has {len(self.pose)} entries for {self.samples} samples")
        if (self.markup is None) != (self.role == "unlabelled"):
            raise ValueError("a labelled set names its markup; an unlabelled one has markup null")

    @property
    def bytes(self) -> int:
        """Size of all tars."""
        return int(self.shards.bytes_S.sum())

    @property
    def layout(self) -> Markup:
        """The markup of its landmarks: the one kept in the manifest, or the packaged one of that name.

        Raises:
            ManifestError: The set is unlabelled.
            ConfigError: Neither is there, or it is malformed.
        """
        if self.markup is None:
            raise ManifestError(f"set '{self.name}' is unlabelled: it has no markup; give a labelled one")
        if self.markup_definition is not None:
            where = f"manifest of '{self.name}', field 'markup_definition'"
            return markup_from(self.markup_definition, where)
        return load_markup(self.markup)


class SampleMeta(Strict):
    """``KEY.json``: one face. Points are in the ORIGINAL image's pixels, pixel-centre convention, (x, y)."""

    key: str
    source: str = Field(description="data set")
    image: str = Field(description="image's name in its data set")
    width: int = Field(description="original image, px")
    height: int
    left: float = Field(description="crop's left edge in the original image, px")
    top: float
    side: float = Field(description="crop's side in the original image, px")
    size: int = Field(description="stored side, px")
    points: list[tuple[float, float] | None] | None = Field(
        default=None, description="K landmarks, original px; null where the position is not known"
    )
    visible: list[bool] | None = None
    covariance: list[tuple[float, float, float]] | None = Field(
        default=None,
        description="of landmarks that a model predicted: (σ_xx, σ_xy, σ_yy), px² of the original image",
    )
    box: tuple[float, float, float, float] | None = Field(
        default=None, description="data set's box: left, top, right, bottom"
    )
    five: list[tuple[float, float]] | None = Field(
        default=None, description="five points the crop was placed around; null where it was placed otherwise"
    )
    five_source: CropPoints = Field(default="detector", description="what the crop was placed around")
    attributes: dict[str, Any] = Field(default_factory=dict)

    @property
    def crop(self) -> Crop:
        """The stored square's geometry."""
        return Crop(self.left, self.top, self.side, self.size)

    def crop_points(self) -> np.ndarray:
        """(K, 2) landmarks in the stored image's pixels, NaN where unknown; (0, 2) for an unlabelled face."""
        known = [(np.nan, np.nan) if point is None else point for point in self.points or []]
        return self.crop.to_crop(np.asarray(known, dtype=np.float64).reshape(-1, 2))

    def crop_five(self) -> np.ndarray:
        """(5, 2) points of the detector in the stored image's pixels, NaN where none found the face."""
        if self.five is None or self.five_source != "detector":
            return np.full((5, 2), np.nan)
        return self.crop.to_crop(np.asarray(self.five, dtype=np.float64))


def join(folder: str, name: str) -> str:
    """Join a folder (local path or URL) and a file name."""
    return f"{folder.rstrip('/')}/{name}"


def parent(url: str) -> str:
    """The folder part of a path or URL."""
    return url.rsplit("/", 1)[0] if "/" in url else "."


def manifest_url(folder_or_manifest: str) -> str:
    """Accept the folder of a prepared set or the manifest itself."""
    if folder_or_manifest.endswith(".json"):
        return folder_or_manifest
    return join(folder_or_manifest, MANIFEST_NAME)


def load_manifest(folder_or_manifest: str) -> Manifest:
    """Read and check a manifest.

    Args:
        folder_or_manifest: Folder of a prepared set, or its manifest.json; local path or URL.

    Raises:
        ManifestError: Missing, not JSON, another format or version, or counts that do not add up.
    """
    url = manifest_url(folder_or_manifest)
    try:
        with open_text(url) as file:
            raw = json.load(file)
    except RecursionError as error:
        raise ManifestError(f"{url}: nested too deeply for a manifest; prepare the set again") from error
    except FileNotFoundError as error:
        raise ManifestError(
            f"{url}: no such manifest; run 'landmarks prepare' first, or correct the path"
        ) from error
    except ValueError as error:  # no UTF-8 too, and a number of thousands of digits
        raise ManifestError(f"{url}: not JSON ({error}); prepare the set again") from error
    except OSError as error:
        raise ManifestError(f"{url}: cannot read: {error.strerror or error}; correct the path") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ManifestError(f"{url}: field 'format' is not '{FORMAT}': this is no manifest of this project")
    if raw.get("version") not in VERSIONS:
        raise ManifestError(
            f"{url}: field 'version' is {raw.get('version')!r}, this release reads versions 1 and 2; prepare the set again"
        )
    raw["version"] = VERSIONS[0]  # how it was written; what it says is the same
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(whole)"
        raise ManifestError(f"{url}: field '{field}': {first['msg']}; prepare the set again") from error


def dump_manifest(manifest: Manifest) -> str:
    """The manifest as canonical JSON text (sorted keys, trailing newline)."""
    content = manifest.model_dump(mode="json")
    # Sets that do not need them stay, byte for byte, what they were before manifests had these fields.
    for field in ("markup_definition", "dataset", "subset", "attributes"):
        if not content[field]:
            del content[field]
    # One line each, not one of each face or shard.
    lines = {"pose": content.pop("pose")}
    if manifest.shards.in_columns:
        content["version"], lines["shards"] = VERSIONS[1], content.pop("shards")
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    for name, value in lines.items():
        if value is not None:
            text = text.replace("{\n", f'{{\n  "{name}": {json.dumps(value)},\n', 1)
    return text
