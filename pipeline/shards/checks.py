"""Checks of one prepared set: its tars against its manifest, its samples against their markup."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from pydantic import ValidationError

from pipeline.errors import ConfigError, ShardError
from pipeline.faces.crop import outside
from pipeline.shards.duplicates import decode_crop
from pipeline.shards.findings import Findings
from pipeline.shards.manifest import Manifest, SampleMeta
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.shard_list import ShardEntry
from pipeline.shards.symmetry import check_symmetry
from pipeline.storage import open_binary

_AGAIN = "prepare the set again"
_MAX_OUTSIDE_SHARE = 0.01  # of landmarks outside their image; 300-W has a few where faces are cut off
_NAMED = 5  # faces that a finding names
_MAX_CUT_SHARE = 0.05  # of landmarks outside the stored square
_MIN_SPREAD = 0.1  # of the square's side that the landmarks must span; normalised coordinates span some 1 px
_MAX_OFF_SHARE = 0.5  # of a face's landmarks outside its image; a preparation leaves such faces out


@dataclass
class SetContent:
    """What has been seen of a set.

    Attributes:
        keys: Keys, in order.
        images: (source, name) of each image.
        hashes: Of the stored JPEGs.
        shapes: (K, 2) landmarks of each face, in shares of the square's side; NaN where the position is not known.
        outside: Landmarks outside their original image, visible or not.
        cut: Landmarks outside the stored square, visible or not.
        visible: Visible landmarks.
        outside_faces: (landmarks outside, key) of the faces that have any.
        cut_faces: The same of the stored square.
    """

    keys: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    shapes: list[np.ndarray] = field(default_factory=list)
    outside: int = 0
    cut: int = 0
    visible: int = 0
    outside_faces: list[tuple[int, str]] = field(default_factory=list)
    cut_faces: list[tuple[int, str]] = field(default_factory=list)


def _sha256(file: BinaryIO) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while block := file.read(1 << 20):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()


def check_file(url: str, entry: ShardEntry, findings: Findings) -> bool:
    """Compare a tar's bytes with the manifest. Returns whether it is there at all."""
    try:
        with open_binary(url) as file:
            size, digest = _sha256(file)
    except FileNotFoundError:
        findings.add(
            "error", url, "no such shard, though the manifest lists it", f"copy it again, or {_AGAIN}"
        )
        return False
    except OSError as error:
        findings.add("error", url, f"cannot read it: {error}", "check the path and its permissions")
        return False
    if size != entry.bytes:
        findings.add(
            "error", url, f"{size} bytes, the manifest says {entry.bytes}", f"copy it again, or {_AGAIN}"
        )
    elif digest != entry.sha256:
        findings.add(
            "error", url, "its sha256 differs from the manifest's: altered", f"copy it again, or {_AGAIN}"
        )
    return True


def _check_points(
    meta: SampleMeta, manifest: Manifest, where: str, content: SetContent, findings: Findings
) -> None:
    count = manifest.num_landmarks
    if manifest.role == "unlabelled":
        if meta.points is not None:
            findings.add("error", where, "landmarks in an unlabelled set", _AGAIN, "landmarks")
        return
    if meta.points is None or len(meta.points) != count:
        found = "no" if meta.points is None else len(meta.points)
        findings.add(
            "error", where, f"{found} landmarks, markup '{manifest.markup}' has {count}", _AGAIN, "K"
        )
        return
    if meta.visible is None or len(meta.visible) != count:
        findings.add("error", where, f"field 'visible' does not have {count} entries", _AGAIN, "visible")
        return
    known_K = np.array([point is not None for point in meta.points])
    points_K2 = np.array([point or (np.nan, np.nan) for point in meta.points], dtype=np.float64)
    if not np.isfinite(points_K2[known_K]).all():
        findings.add("error", where, "landmarks that are not finite", "correct the annotation", "finite")
        return
    visible_K = np.asarray(meta.visible, dtype=bool)
    if (visible_K & ~known_K).any():
        message = f"landmark {int((visible_K & ~known_K).argmax())} is visible and has no position"
        findings.add("error", where, message, "correct the annotation", "visible, unknown")
        return
    if not known_K.any():
        findings.add("error", where, "no landmark has a position", "remove the face", "unknown")
        return
    stored_K2 = meta.crop_points() / meta.size
    if known_K.sum() > 2:
        spread = float(np.ptp(stored_K2[known_K], axis=0).max())
        if not _MIN_SPREAD < spread < 1 / _MIN_SPREAD:
            findings.add(
                "error",
                where,
                f"the landmarks span {spread:.3f} of the square's side",
                "check that the annotation is in pixels of this image",
                "spread",
            )
            return
    off = int(outside(points_K2, meta.width, meta.height).sum())
    cut = int((~meta.crop.contains(points_K2[known_K])).sum())
    if off > _MAX_OFF_SHARE * known_K.sum():
        findings.add(
            "error",
            where,
            f"{off} of {known_K.sum()} landmarks lie outside its image, '{meta.image}' of {meta.width}×{meta.height} px",
            "remove the face, or correct its annotation",
            "outside",
        )
    content.outside += off
    content.cut += cut
    content.visible += int(visible_K.sum())
    content.outside_faces += [(off, meta.key)] if off else []
    content.cut_faces += [(cut, meta.key)] if cut else []
    content.shapes.append(stored_K2)


def check_sample(
    sample: RawSample, url: str, manifest: Manifest, content: SetContent, findings: Findings
) -> np.ndarray | None:
    """Check one sample and remember what the checks of the whole set need.

    Returns:
        Its (size, size, 3) uint8 image, or None if that is damaged.
    """
    content.keys.append(sample.key)
    content.hashes.append(hashlib.sha1(sample.jpg).digest())
    try:
        meta = SampleMeta.model_validate_json(sample.json)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "(whole)"
        findings.add("error", url, f"{sample.key}.json, field '{where}': {first['msg']}", _AGAIN, "json")
        return None
    content.images.append((meta.source, meta.image))
    if meta.key != sample.key:
        findings.add("error", url, f"{sample.key}.json has the key '{meta.key}'", _AGAIN, "key")
    if meta.side <= 0 or meta.width < 1 or meta.height < 1:
        findings.add("error", url, f"{sample.key}.json: a square or image of no size", _AGAIN, "size")
        return None
    _check_points(meta, manifest, f"{url}: {sample.key}", content, findings)
    try:
        crop = decode_crop(sample, url)
    except ShardError as error:
        findings.add("error", url, str(error).removeprefix(f"{url}: "), _AGAIN, "image")
        return None
    expected = (manifest.crop.size, manifest.crop.size, 3)
    if crop.shape != expected or meta.size != manifest.crop.size:
        findings.add(
            "error",
            url,
            f"{sample.key}.jpg is {crop.shape[1]}×{crop.shape[0]} px, its JSON says {meta.size}, "
            f"the manifest {manifest.crop.size}",
            _AGAIN,
            "image size",
        )
        return None
    return crop


def check_shard(
    url: str, entry: ShardEntry, manifest: Manifest, content: SetContent, findings: Findings
) -> list[tuple[str, np.ndarray]]:
    """Check a tar and all its samples.

    Returns:
        (key, image) of the samples whose image is sound.
    """
    if not check_file(url, entry, findings):
        return []
    crops: list[tuple[str, np.ndarray]] = []
    seen = 0
    try:
        for sample in iterate_shard(url):
            seen += 1
            crop = check_sample(sample, url, manifest, content, findings)
            if crop is not None:
                crops.append((sample.key, crop))
    except ShardError as error:
        message, _, remedy = str(error).removeprefix(f"{url}: ").rpartition("; ")
        findings.add("error", url, message, remedy)
        return crops
    if seen != entry.samples:
        findings.add("error", url, f"{seen} samples, the manifest says {entry.samples}", _AGAIN)
    return crops


def check_set(url: str, manifest: Manifest, content: SetContent, findings: Findings) -> None:
    """Checks that need the whole set: unique keys, the markup's left and right, landmarks cut off.

    Args:
        url: The manifest.
        manifest: Its content.
        content: What ``check_shard`` has seen of all tars.
        findings: Added to.
    """
    for key in sorted(key for key, count in Counter(content.keys).items() if count > 1):
        findings.add("error", url, f"the key '{key}' occurs more than once", _AGAIN, "repeated key")
    copies = len(content.hashes) - len(set(content.hashes))
    if copies:
        findings.add("warning", url, f"{copies} stored images are exact copies of others", "remove copies")
    if manifest.role == "unlabelled" or not content.shapes:
        return
    try:
        markup = manifest.layout
    except ConfigError as error:
        findings.add("error", url, str(error), "install the markup, or prepare the set with another")
        return
    if markup.num_landmarks != manifest.num_landmarks:
        message = f"{manifest.num_landmarks} landmarks, markup '{markup.name}' has {markup.num_landmarks}"
        findings.add("error", url, message, _AGAIN)
        return
    shapes_NK2 = np.stack(content.shapes)
    check_symmetry(markup, shapes_NK2, url, findings)
    total = int(np.isfinite(shapes_NK2).all(axis=2).sum())
    if content.outside > _MAX_OUTSIDE_SHARE * total:
        findings.add(
            "warning",
            url,
            f"{content.outside / total:.1%} of the landmarks lie outside their image{_worst(content.outside_faces)}",
            "check that the annotation belongs to these images, and that it is in pixels",
        )
    if content.cut > _MAX_CUT_SHARE * total:
        findings.add(
            "warning",
            url,
            f"{content.cut / total:.1%} of the landmarks lie outside the stored square{_worst(content.cut_faces)}",
            "raise crop.side_factor",
        )
    if content.visible == 0:
        findings.add(
            "warning",
            url,
            "no landmark of the set is visible",
            "if its annotation says 1 for what is visible, set the reader's 'one_means' to visible and prepare it again",
        )


def _worst(faces: list[tuple[int, str]]) -> str:
    """The faces that have most of them."""
    named = ", ".join(
        f"{key} ({count})" for count, key in sorted(faces, key=lambda face: (-face[0], face[1]))[:_NAMED]
    )
    return f", most of them in {named}" if len(faces) > _NAMED else f": in {named}"
