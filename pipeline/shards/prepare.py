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

from pipeline.datasets._decode import MAX_PIXELS, pixel_limit
from pipeline.datasets.ahead import fetched_ahead
from pipeline.datasets.face import Annotation, FaceImage, FaceRecord, UnusableError
from pipeline.errors import DataError
from pipeline.faces.crop import extract, outside
from pipeline.markup import Markup
from pipeline.shards.manifest import CropPolicy, SampleMeta
from pipeline.shards.place import (
    DECIMALS,
    Detector,
    Face,
    Placement,
    place_box,
    place_image,
    place_labelled,
    place_unlabelled,
)
from pipeline.shards.read import RawSample
from pipeline.shards.write import encode_meta, sample_key
from pipeline.words import counted

REASONS = (
    "unreadable",
    "bad_annotation",
    "wrong_size",
    "off_image",
    "no_face",
    "several_faces",
    "too_small",
    "near_duplicate",
)
_AT_ONCE = 32
"""Images given to the detector together, at most."""
_BYTES_AT_ONCE = 256 * 2**20
"""Decoded bytes from which on no further image is read beside those held; bounds a worker's memory, whatever their sizes."""
_MAX_OFF_IMAGE = 0.5
"""Share of a face's known landmarks that may lie off its image. Cut-off faces have some; an annotation that belongs to another
image, or is in other units, has most."""


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
    max_pixels: int = MAX_PIXELS

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


def _off_image(annotation: Annotation, image_HW3: np.ndarray) -> str | None:
    """What to say of a face most of whose landmarks lie off its image; whether they are visible does not matter."""
    height, width = image_HW3.shape[:2]
    known_N2 = annotation.points_K2[np.isfinite(annotation.points_K2).all(axis=1)]
    off = int(outside(known_N2, width, height).sum())
    if off <= _MAX_OFF_IMAGE * len(known_N2):
        return None
    farthest = known_N2[np.abs(known_N2 - (width / 2, height / 2)).max(axis=1).argmax()]
    return (
        f"{off} of {len(known_N2)} landmarks lie off the image of {width}×{height} px, the farthest at "
        f"({farthest[0]:.0f}, {farthest[1]:.0f})"
    )


def _place(
    faces: Sequence[Face], image: FaceImage, annotation: Annotation | None, options: ChunkOptions
) -> Placement | tuple[str, str]:
    """The square, or (reason, detail) why there is none."""
    if annotation is not None and (off := _off_image(annotation, image.image_HW3)) is not None:
        return "off_image", off
    if options.crop.points == "image":
        height, width = image.image_HW3.shape[:2]
        placed, missed = place_image(width, height, options.crop), "an image of no size"
    elif options.crop.points == "box" and annotation is not None:
        placed, missed = (
            place_box(annotation, options.crop),
            "no box, around which crop.points = box places it",
        )
    elif annotation is not None and options.markup is not None:
        placed = place_labelled(
            faces, annotation, options.markup, options.crop, fall_back=options.on_no_face == "landmarks"
        )
        missed = f"{counted(len(faces), 'face')} detected, none of them the labelled one"
        if not options.needs_detector:
            missed = "the landmarks that are known span no area, or lack both eyes or mouth corners"
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
        five=None if placed.five_52 is None else [(float(x), float(y)) for x, y in placed.five_52],
        five_source=placed.five_source,
        attributes=annotation.attributes if annotation else {},
    )


ATTRIBUTE = "attribute "
"""Before the name of one: how the faces that state it are counted."""


def _count(counts: Counter[str], annotation: Annotation | None, placed: Placement) -> None:
    counts["samples"] += 1
    counts["landmark_placed"] += placed.five_source == "landmarks"
    if annotation is not None:
        known_K = np.isfinite(annotation.points_K2).all(axis=1)
        known = annotation.points_K2[known_K]
        cut = int((~placed.crop.contains(known)).sum())
        counts["landmarks"] += len(known)
        counts["landmarks_hidden"] += len(known) - int(annotation.visible_K[known_K].sum())
        counts["landmarks_cut"] += cut
        counts["faces_cut"] += cut > 0
        counts.update(f"{ATTRIBUTE}{name}" for name in annotation.attributes)


def _load(
    records: Sequence[FaceRecord], max_pixels: int
) -> Iterator[list[tuple[FaceRecord, FaceImage | Exception]]]:
    """The records' images, as many at a time as may be held decoded."""
    group: list[tuple[FaceRecord, FaceImage | Exception]] = []
    held = 0
    for record in fetched_ahead(records):
        try:
            with pixel_limit(max_pixels):
                image = record.load()
            group.append((record, image))
            held += image.image_HW3.nbytes + len(image.content)
        except (DataError, OSError) as error:  # a reader's own record may let a file system's error through
            group.append((record, error))
        if len(group) == _AT_ONCE or held >= _BYTES_AT_ONCE:
            yield group
            group, held = [], 0
    if group:
        yield group


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
    for loaded in _load(records, options.max_pixels):
        readable = [image.image_HW3 for _, image in loaded if isinstance(image, FaceImage)]
        detected = iter(
            detector.detect(readable) if detector is not None and readable else [[]] * len(readable)
        )
        kept: list[tuple[FaceRecord, FaceImage, Annotation | None, Placement, np.ndarray]] = []
        for record, image in loaded:
            if isinstance(image, Exception):
                reason = image.reason if isinstance(image, UnusableError) else "unreadable"
                result.rejects.append(Reject(record.name, reason, str(image)))
                continue
            # A labelled data set may serve as an unlabelled one: its landmarks are then not looked at.
            annotation = image.annotation if options.role == "labelled" else None
            placed = _place(next(detected), image, annotation, options)
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
            try:
                described = encode_meta(meta)
            except DataError as error:  # a value of the box or the attributes that JSON does not have
                result.rejects.append(Reject(record.name, "bad_annotation", str(error)))
                continue
            _count(result.counts, annotation, placed)
            jpeg = encode_jpeg(crop, options.crop.jpeg_quality)
            result.samples.append(RawSample(meta.key, jpeg, described))
    order = {record.name: index for index, record in enumerate(records)}
    result.rejects.sort(key=lambda reject: order[reject.name])
    return result
