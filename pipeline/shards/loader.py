"""Batches of decoded samples, prepared beside the training step without ever changing their order."""

from __future__ import annotations

import io
import json
import math
import queue
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipeline.errors import TrainingError
from pipeline.shards.attributes import labels_of
from pipeline.shards.stream import SampleStream, StreamSample

# What damaged JSON and damaged JPEGs raise, in Pillow's parsers too.
_UNUSABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    SyntaxError,
    ArithmeticError,
    RecursionError,
    struct.error,
)
_PAD_GREY = 127  # a sample that cannot be decoded keeps its place as a grey image of weight 0


def _no_five() -> np.ndarray:
    return np.full((5, 2), np.nan, dtype=np.float32)


@dataclass
class Batch:
    """A rank's share of one global batch.

    Attributes:
        images_B3SS: uint8, stored size.
        points_BK2: float32 landmarks (x, y) in stored px; NaN where unknown; K = 0 where landmarks are not read.
        visible_BK: bool.
        valid_B: bool; False where the sample could not be read or decoded.
        keys: Sample keys.
        scale_B: float32, stored px per original px.
        five_B52: float32, the five points by which a detector found the face (pupils, nose tip, mouth corners), stored px; NaN
            where none did.
        labels_BC: bool, whether the face has each of the attributes that the loader was asked for; None if it was asked for none.
        arrival: When its tensors will be on the GPU they were sent to; None where they lie in the host's memory.
    """

    images_B3SS: torch.Tensor
    points_BK2: torch.Tensor
    visible_BK: torch.Tensor
    valid_B: torch.Tensor
    keys: list[str]
    scale_B: torch.Tensor
    five_B52: torch.Tensor
    labels_BC: torch.Tensor | None = None
    arrival: torch.cuda.Event | None = None


@dataclass
class Quarantine:
    """Samples that could not be used, and the rate at which they stop the run.

    Attributes:
        max_share: Highest tolerated share of bad samples among those seen.
        seen: Samples seen.
        bad: Times a bad sample came up.
        entries: (key or shard place, reason), each bad sample once.
    """

    max_share: float
    seen: int = 0
    bad: int = 0
    entries: dict[str, str] = field(default_factory=dict)

    def record(self, name: str, reason: str) -> None:
        """Count a bad sample."""
        self.bad += 1
        self.entries.setdefault(name, reason)

    def check(self) -> None:
        """Stop the run when too many samples are bad; a few bad ones among the first hundred do not count as a rate yet.

        Raises:
            TrainingError: Naming the rate, the limit and the first bad sample.
        """
        if self.bad > self.max_share * max(self.seen, 100):
            name, reason = next(iter(self.entries.items()))
            raise TrainingError(
                f"{self.bad} of {self.seen} samples could not be used, over data.max_bad_share = {self.max_share}; the first: "
                f"{name}: {reason}. Run 'landmarks verify' on the set"
            )


@dataclass(frozen=True)
class _Decoded:
    key: str
    image_HW3: np.ndarray | None
    points_K2: np.ndarray
    visible_K: np.ndarray
    scale: float
    problem: str | None
    labels: tuple[bool, ...] = ()
    five_52: np.ndarray = field(default_factory=_no_five)


def _scale(meta: dict[str, Any]) -> float:
    """Stored px per original px."""
    side, size = float(meta["side"]), float(meta["size"])
    if not (0 < side < math.inf and 0 < size < math.inf):
        raise ValueError(f"a square of {side:g} px, stored at {size:g}")
    return size / side


def _decode(
    sample: StreamSample, size: int, num_landmarks: int, attributes: tuple[str, ...] = ()
) -> _Decoded:
    nowhere = np.full((num_landmarks, 2), np.nan, dtype=np.float32)
    hidden = np.zeros(num_landmarks, dtype=bool)
    if sample.raw is None:
        return _Decoded(f"ordinal-{sample.ordinal}", None, nowhere, hidden, 1.0, sample.problem)
    key = sample.raw.key
    try:
        meta = json.loads(sample.raw.json)
        with Image.open(io.BytesIO(sample.raw.jpg)) as opened:
            # Before it is decoded: a few kB can claim gigapixels.
            if opened.size != (size, size):
                raise ValueError(f"image is {opened.width}×{opened.height}, the manifest says {size}×{size}")
            image = np.asarray(opened.convert("RGB"))
        scale = _scale(meta)

        def stored(points: Any) -> np.ndarray:
            return (np.array(points, dtype=np.float64) + 0.5 - (meta["left"], meta["top"])) * scale - 0.5

        five = _no_five()
        # Means of landmarks stand in where no detector found the face: they would teach nothing that the landmarks do not.
        if meta.get("five") and meta.get("five_source", "detector") == "detector":
            five = stored(meta["five"]).astype(np.float32).reshape(5, 2)
            if not np.isfinite(five).all():
                raise ValueError("a point of the detector's five is not finite")
        if num_landmarks == 0:
            return _Decoded(key, image, nowhere, hidden, scale, None, (), five)
        points = stored([(np.nan, np.nan) if p is None else p for p in meta["points"]])
        if points.shape != (num_landmarks, 2):
            raise ValueError(f"{len(points)} landmarks, the manifest says {num_landmarks}")
        if np.isinf(points).any() or np.isnan(points).any(axis=1).tolist() != [
            p is None for p in meta["points"]
        ]:
            raise ValueError("a landmark is not finite")
        visible = np.array(meta["visible"] if meta.get("visible") else [True] * num_landmarks, dtype=bool)
        if visible.shape != (num_landmarks,):
            raise ValueError(f"'visible' has {len(visible)} entries, the manifest says {num_landmarks}")
        labels = labels_of(meta.get("attributes") or {}, attributes)
        return _Decoded(key, image, points.astype(np.float32), visible, scale, None, tuple(labels), five)
    except (*_UNUSABLE, Image.DecompressionBombError) as error:
        return _Decoded(key, None, nowhere, hidden, 1.0, f"{type(error).__name__}: {error}")


def collate(
    samples: list[StreamSample],
    size: int,
    num_landmarks: int,
    quarantine: Quarantine,
    attributes: tuple[str, ...] = (),
) -> Batch:
    """Decode samples into one batch; those that cannot be decoded keep their place with weight 0."""
    decoded = [_decode(s, size, num_landmarks, attributes) for s in samples]
    return _stack(decoded, size, quarantine, attributes)


def _stack(decoded: list[_Decoded], size: int, quarantine: Quarantine, attributes: tuple[str, ...]) -> Batch:
    images = np.full((len(decoded), size, size, 3), _PAD_GREY, dtype=np.uint8)
    for place, one in enumerate(decoded):
        quarantine.seen += 1
        if one.image_HW3 is None:
            quarantine.record(one.key, one.problem or "unreadable")
        else:
            images[place] = one.image_HW3
    quarantine.check()
    return Batch(
        images_B3SS=torch.from_numpy(images).permute(0, 3, 1, 2),
        points_BK2=torch.from_numpy(np.stack([d.points_K2 for d in decoded])),
        visible_BK=torch.from_numpy(np.stack([d.visible_K for d in decoded])),
        valid_B=torch.tensor([d.image_HW3 is not None for d in decoded]),
        keys=[d.key for d in decoded],
        scale_B=torch.tensor([d.scale for d in decoded], dtype=torch.float32),
        five_B52=torch.from_numpy(np.stack([d.five_52 for d in decoded])),
        labels_BC=torch.tensor([d.labels or (False,) * len(attributes) for d in decoded])
        if attributes
        else None,
    )


class BatchLoader:
    """Decodes a stream's samples in the background and hands out batches in order, without end.

    Args:
        stream: The rank's samples.
        batch: Samples a batch for this rank.
        threads: Decoding threads; JPEG decoding releases the interpreter lock.
        prefetch: Batches held ready.
        max_bad_share: See ``Quarantine``.
        attributes: Of a labelled set's faces, for ``Batch.labels_BC``; a face without one of them cannot be used.
        send: What is done with each batch as soon as it is decoded, in the background (:mod:`pipeline.shards.ahead`).
    """

    def __init__(
        self,
        stream: SampleStream,
        batch: int,
        *,
        threads: int = 1,
        prefetch: int = 4,
        max_bad_share: float = 0.01,
        attributes: tuple[str, ...] = (),
        send: Callable[[Batch], Batch] | None = None,
    ) -> None:
        self._send = send
        self._stream, self._batch, self._threads = stream, batch, threads
        self._attributes = attributes
        self._size, self._num_landmarks = stream.source.size, stream.source.num_landmarks
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=prefetch)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self.quarantine = Quarantine(max_bad_share)
        self.wait_seconds = 0.0
        self._thread = threading.Thread(target=self._produce, name="batch-loader", daemon=True)
        self._thread.start()

    def _put(self, item: Batch | BaseException) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def _produce(self) -> None:
        pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None

        def decode(sample: StreamSample) -> _Decoded:
            return _decode(sample, self._size, self._num_landmarks, self._attributes)

        try:
            samples: list[StreamSample] = []
            for sample in self._stream:
                samples.append(sample)
                if len(samples) < self._batch:
                    continue
                decoded = map(decode, samples) if pool is None else pool.map(decode, samples)
                batch = _stack(list(decoded), self._size, self.quarantine, self._attributes)
                samples = []
                if self._send is not None:
                    batch = self._send(batch)
                if not self._put(batch):
                    return
        except BaseException as error:
            # Whatever went wrong here belongs to the thread that trains.
            self._put(error)
        finally:
            if pool is not None:
                pool.shutdown(wait=False)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield self.next()

    def next(self) -> Batch:
        """The next batch; time spent waiting for it is added to ``wait_seconds``."""
        if self._failure is not None:
            raise self._failure  # nobody fills the queue any more
        if self._stop.is_set():
            raise RuntimeError("the loader is closed")
        began = time.perf_counter()
        item = self._ready.get()
        self.wait_seconds += time.perf_counter() - began
        if isinstance(item, BaseException):
            self._failure = item
            raise item
        return item

    def close(self) -> None:
        """End the background thread."""
        self._stop.set()
        self._thread.join(timeout=5)
