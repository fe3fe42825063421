"""Synthetic faces as a data set: the embedded default, with nothing to download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.datasets.face import Annotation, FaceImage, FaceRecord
from pipeline.errors import ConfigError
from pipeline.markup import Markup, load_markup
from pipeline.synthetic.render import render_face


@dataclass(frozen=True)
class SyntheticRecord:
    """One face, not yet rendered: a handful of numbers."""

    source: str
    seed: int
    index: int
    size: int
    labelled: bool
    near_frontal: bool

    @property
    def name(self) -> str:
        """Stable name, e.g. ``seed0/00000017.png``."""
        return f"seed{self.seed}/{self.index:08d}.png"

    def load(self) -> FaceImage:
        """Render the face; ``content`` is its raw pixels."""
        face = render_face(self.seed, self.index, self.size, near_frontal=self.near_frontal)
        annotation = None
        if self.labelled:
            pose, worn, held = face.parameters.pose, face.parameters.wear, face.parameters.occluder
            attributes = {
                "yaw": round(pose.yaw, 3),
                "pitch": round(pose.pitch, 3),
                "roll": round(pose.roll, 3),
                "occluder": held.kind if held else "",
                "glasses": worn.glasses,
                "mask": worn.mask,
            }
            low, high = face.points_K2.min(axis=0), face.points_K2.max(axis=0)
            box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
            annotation = Annotation(face.points_K2, face.visible_K, box, attributes)
        return FaceImage(face.image_HW3, annotation, face.image_HW3.tobytes())


class SyntheticFaces:
    """A seeded set of rendered faces with the 68 landmarks of ``ibug68``.

    Face ``i`` depends on (seed, i, size, near_frontal) alone: any subset, order or worker renders the same pixels.

    Args:
        count: Number of faces.
        seed: Names the sequence of faces.
        size: Side of an image, px.
        start: First face of the sequence; sets with disjoint ranges share no face.
        labelled: False hides the annotation; the images stay the same.
        near_frontal: Keep the pose within |yaw| ≤ 20°, |pitch| ≤ 12°, |roll| ≤ 12°.
        name: Name of the data set.

    Raises:
        ConfigError: A field out of range.
    """

    def __init__(
        self,
        count: int,
        seed: int = 0,
        size: int = 160,
        start: int = 0,
        labelled: bool = True,
        near_frontal: bool = False,
        name: str = "synthetic",
    ) -> None:
        for field, value, least in (
            ("count", count, 1),
            ("seed", seed, 0),
            ("size", size, 32),
            ("start", start, 0),
        ):
            if value < least:
                raise ConfigError(
                    f"synthetic faces, field '{field}': {value} is too small, the least is {least}"
                )
        self._faces = range(start, start + count)
        self._seed, self._size, self._name = seed, size, name
        self._labelled, self._near_frontal = labelled, near_frontal

    @property
    def markup(self) -> Markup | None:
        """``ibug68``, or None where the annotation is hidden."""
        return load_markup("ibug68") if self._labelled else None

    def records(self) -> Sequence[FaceRecord]:
        """All faces in order."""
        return [
            SyntheticRecord(self._name, self._seed, index, self._size, self._labelled, self._near_frontal)
            for index in self._faces
        ]


READER = SyntheticFaces
