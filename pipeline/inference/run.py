"""Prediction over everything that was named, a result at a time: what cannot be read becomes a reject and ends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pipeline.datasets.face import FaceRecord, UnusableError
from pipeline.errors import DataError
from pipeline.inference.predictor import Predictor
from pipeline.inference.result import ImageResult, Outcome, Rejects
from pipeline.inference.smooth import Smoother
from pipeline.inference.sources import Sources
from pipeline.inference.stored import predict_stored
from pipeline.inference.video import count_frames, frames
from pipeline.inference.writers.base import Writer
from pipeline.markup import Markup
from pipeline.shards.manifest import join, load_manifest, manifest_url, parent
from pipeline.shards.prepare import Reject
from pipeline.shards.rejects import REJECTED_NAME
from pipeline.words import counted

_BATCH = 16


def predict_images(predictor: Predictor, records: Sequence[FaceRecord]) -> Iterator[ImageResult | Reject]:
    """The faces of images, in order."""
    for start in range(0, len(records), _BATCH):
        read: list[np.ndarray | Reject] = [_read(record) for record in records[start : start + _BATCH]]
        faces = iter(predictor.predict([image for image in read if isinstance(image, np.ndarray)]))
        for record, image in zip(records[start : start + _BATCH], read, strict=True):
            if isinstance(image, Reject):
                yield image
            else:
                yield ImageResult(record.name, image.shape[1], image.shape[0], next(faces), image)


def _read(record: FaceRecord) -> np.ndarray | Reject:
    try:
        return record.load().image_HW3
    except DataError as error:
        reason = error.reason if isinstance(error, UnusableError) else "unreadable"
        return Reject(record.name, reason, str(error))


def predict_video(
    predictor: Predictor, path: str, acceleration: float | None = None
) -> Iterator[ImageResult | Reject]:
    """The faces of a video's frames, each called ``PATH#NUMBER``.

    Args:
        predictor: Detects in every frame.
        path: Of the video.
        acceleration: See ``Smoother``; None smooths nothing.

    Yields:
        The frames, and where one cannot be decoded a reject, with which the video ends.
    """
    smoother = None if acceleration is None else Smoother(predictor, acceleration)
    batch: list[tuple[float, np.ndarray]] = []
    number, problem = 0, None
    source = frames(path)
    while True:
        try:
            frame = next(source, None)
        except DataError as error:
            frame, problem = None, str(error)
        if frame is not None:
            batch.append(frame)
        if batch and (frame is None or len(batch) == _BATCH):
            for (seconds, image), faces in zip(
                batch, predictor.predict([image for _, image in batch]), strict=True
            ):
                tracks = None
                if smoother is not None:
                    faces, tracks = smoother.frame(faces, seconds)
                yield ImageResult(
                    f"{path}#{number:06d}", image.shape[1], image.shape[0], faces, image, seconds, tracks
                )
                number += 1
            batch = []
        if frame is None:
            break
    if problem is not None:
        yield Reject(path, "unreadable", problem)


def predict_shard(predictor: Predictor, data: str, shard: int) -> list[ImageResult | Reject]:
    """The faces of one shard of a prepared set, each called by its key, landmarks in px of its original image."""
    manifest, folder = load_manifest(data), parent(manifest_url(data))
    results: list[ImageResult | Reject] = []
    for key, meta, face in predict_stored(predictor, manifest, folder, shard):
        if meta is None or isinstance(face, str):
            results.append(Reject(key, "unreadable", str(face)))
        else:
            results.append(ImageResult(key, meta.width, meta.height, [face]))
    return results


def count(sources: Sources) -> int:
    """Images, frames and stored faces that there are to predict; frames as the videos' headers give them.

    Raises:
        LandmarkError: A set or a video that cannot be used.
    """
    stored = sum(load_manifest(data).samples for data in sources.sets)
    return len(sources.images) + stored + sum(count_frames(path) for path in sources.videos)


def predict_all(
    predictor: Predictor,
    sources: Sources,
    on_set: Callable[[str], Iterator[ImageResult | Reject]],
    acceleration: float | None,
) -> Iterator[ImageResult | Reject]:
    """Everything, in order: images, videos, sets.

    Args:
        predictor: The model.
        sources: What there is.
        on_set: Predicts a prepared set.
        acceleration: See ``predict_video``.
    """
    yield from predict_images(predictor, sources.images)
    for path in sources.videos:
        yield from predict_video(predictor, path, acceleration)
    for data in sources.sets:
        yield from on_set(data)


def write_all(
    results: Iterator[ImageResult | Reject],
    writer: type[Writer],
    out: str,
    markup: Markup,
    total: int,
    max_reject_share: float,
    advance: Callable[[int, str], None],
) -> Outcome:
    """Write results as they come, and list what was rejected beside them.

    Args:
        results: Of ``predict_all``.
        writer: Of the format.
        out: File or folder, as the format has it.
        markup: Of the landmarks.
        total: Of ``count``.
        max_reject_share: See ``Rejects``.
        advance: Told of every result.

    Raises:
        DataError: Too many rejects; the list is there, a file of results is not.
    """
    url = join(out, REJECTED_NAME) if writer.folder else f"{out}.{REJECTED_NAME}"
    rejects, outcome = Rejects(url, total, max_reject_share), Outcome(rejects_url=url)
    with writer(out, markup) as written:
        for result in results:
            if isinstance(result, Reject):
                rejects.add(result)
            else:
                written.write(result)
                outcome.faces += len(result.faces)
                outcome.empty += not result.faces
            advance(1, counted(outcome.faces, "face"))
    rejects.close()
    outcome.rejects = len(rejects.found)
    return outcome
