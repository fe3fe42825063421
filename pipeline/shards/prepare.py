"""The work of a worker of ``landmarks prepare``: from records of images to samples, one chunk at a time.

A chunk is a fixed run of records, so its result depends on nothing but those records and the config: not on
how many workers there are, nor on which of them got it.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image

from pipeline.datasets.face import Annotation, FaceImage, FaceRecord
from pipeline.errors import DataError
from pipeline.faces.crop import extract
from pipeline.markup import Markup
from pipeline.shards.manifest import CropPolicy, SampleMeta
from pipeline.shards.place import DECIMALS, Detector, Face, Placement, place_labelled, place_unlabelled
from pipeline.shards.read import RawSample
from pipeline.shards.write import encode_meta, sample_key

REASONS = ("unreadable", "no_face", "several_faces", "too_small", "near_duplicate")
_DECODED_AT_ONCE = 32
"""Images held decoded in one worker; bounds its memory."""


class Duplicates(Protocol):
    """Finds images that also occur in another set."""

    def matches(self, crops: Sequence[np.ndarray]) -> Sequence[str | None]:
        """For each (S, S, 3) uint8 crop the key of the sample it duplicates, or None."""


class Reject(NamedTuple):
    """An image left out.

    Attributes:
        name: Image's name in its data set.
        reason: One of ``REASONS``.
        detail: For the reader of ``rejected.jsonl``.
    """

    name: str
    reason: str
    detail: str


@dataclass(frozen=True)
class ChunkOptions:
    """What of the config a worker needs. ``markup`` is None for an unlabelled set."""

    role: Literal["labelled", "unlabelled"]
    markup: Markup | None
    crop: CropPolicy
    min_face_px: float
    on_no_face: Literal["landmarks", "reject"]
    several_faces: Literal["keep_largest", "reject"]

    @property
    def needs_detector(self) -> bool:
        """Whether squares are placed around detected points."""
        return self.crop.points == "detector"


@dataclass
class ChunkResult:
    """Samples and rejects in the order of the records, and counts for the manifest's statistics."""

    samples: list[RawSample] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def encode_jpeg(image_HW3: np.ndarray, quality: int) -> bytes:
    """JPEG without chroma subsampling: at 80 px, half the colour's resolution would smear lips and eyes."""
    buffer = io.BytesIO()
    Image.fromarray(image_HW3).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _place(
    faces: Sequence[Face], annotation: Annotation | None, options: ChunkOptions
) -> Placement | tuple[str, str]:
    """The square, or (reason, detail) why there is none."""
    if annotation is not None and options.markup is not None:
        placed = place_labelled(
            faces, annotation, options.markup, options.crop, fall_back=options.on_no_face == "landmarks"
        )
        missed = f"{len(faces)} faces detected, none of them the labelled one"
    elif len(faces) > 1 and options.several_faces == "reject":
        return "several_faces", f"{len(faces)} faces detected"
    else:
        placed = place_unlabelled(faces[0], options.crop) if faces else None
        missed = "no face detected"
    if placed is None:
        return "no_face", missed
    if placed.crop.side < options.min_face_px:
        return "too_small", f"square of {placed.crop.side:.1f} px, at least {options.min_face_px:g} wanted"
    return placed


def _meta(
    record: FaceRecord, image: FaceImage, annotation: Annotation | None, placed: Placement
) -> SampleMeta:
    crop = placed.crop
    points: list[tuple[float, float] | None] | None = None
    visible: list[bool] | None = None
    if annotation is not None:
        known = np.isfinite(annotation.points_K2).all(axis=1)
        rounded = np.round(annotation.points_K2, DECIMALS)
        # JSON has no NaN: null is a position nobody knows, apart from a hidden landmark whose position is known.
        points = [(float(x), float(y)) if k else None for (x, y), k in zip(rounded, known, strict=True)]
        visible = [bool(v) for v in annotation.visible_K & known]
    return SampleMeta(
        key=sample_key(record.source, record.name),
        source=record.source,
        image=record.name,
        width=image.image_HW3.shape[1],
        height=image.image_HW3.shape[0],
        left=crop.left,
        top=crop.top,
        side=crop.side,
        size=crop.size,
        points=points,
        visible=visible,
        box=annotation.box if annotation else None,
        five=[(float(x), float(y)) for x, y in placed.five_52],
        five_source=placed.five_source,
        attributes=annotation.attributes if annotation else {},
    )


def _count(counts: Counter[str], annotation: Annotation | None, placed: Placement) -> None:
    counts["samples"] += 1
    counts["landmark_placed"] += placed.five_source == "landmarks"
    if annotation is not None:
        known = annotation.points_K2[np.isfinite(annotation.points_K2).all(axis=1)]
        cut = int((~placed.crop.contains(known)).sum())
        counts["landmarks"] += len(known)
        counts["landmarks_cut"] += cut
        counts["faces_cut"] += cut > 0


def _load(records: Sequence[FaceRecord]) -> Iterator[tuple[FaceRecord, FaceImage | DataError]]:
    for record in records:
        try:
            yield record, record.load()
        except DataError as error:
            yield record, error


def prepare_chunk(
    records: Sequence[FaceRecord],
    options: ChunkOptions,
    detector: Detector | None,
    duplicates: Duplicates | None = None,
) -> ChunkResult:
    """Turn a run of records into samples.

    Args:
        records: The images.
        options: See ``ChunkOptions``.
        detector: None if the squares are placed by landmarks.
        duplicates: Knows the images that must not occur here, e.g. those of the test set.

    Returns:
        Samples and rejects. An image that cannot be used is never fatal: it is a recorded reject.
    """
    result = ChunkResult()
    for start in range(0, len(records), _DECODED_AT_ONCE):
        loaded = list(_load(records[start : start + _DECODED_AT_ONCE]))
        readable = [image.image_HW3 for _, image in loaded if isinstance(image, FaceImage)]
        detected = iter(
            detector.detect(readable) if detector is not None and readable else [[]] * len(readable)
        )
        kept: list[tuple[FaceRecord, FaceImage, Annotation | None, Placement, np.ndarray]] = []
        for record, image in loaded:
            if isinstance(image, DataError):
                result.rejects.append(Reject(record.name, "unreadable", str(image)))
                continue
            # A labelled data set may serve as an unlabelled one: its landmarks are then not looked at.
            annotation = image.annotation if options.role == "labelled" else None
            placed = _place(next(detected), annotation, options)
            if isinstance(placed, tuple):
                result.rejects.append(Reject(record.name, *placed))
            else:
                kept.append((record, image, annotation, placed, extract(image.image_HW3, placed.crop)))
        matches: Sequence[str | None] = [None] * len(kept)
        if duplicates is not None and kept:
            matches = duplicates.matches([crop for *_, crop in kept])
        for (record, image, annotation, placed, crop), match in zip(kept, matches, strict=True):
            if match is not None:
                result.rejects.append(Reject(record.name, "near_duplicate", f"of {match}"))
                continue
            meta = _meta(record, image, annotation, placed)
            _count(result.counts, annotation, placed)
            jpeg = encode_jpeg(crop, options.crop.jpeg_quality)
            result.samples.append(RawSample(meta.key, jpeg, encode_meta(meta)))
    order = {record.name: index for index, record in enumerate(records)}
    result.rejects.sort(key=lambda reject: order[reject.name])
    return result
