"""The plan of a preparation: the sets that will be written. Whatever is wrong with the input is found here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.open import check_reader, open_reader
from pipeline.errors import ConfigError
from pipeline.faces.mirror import wrong_partner
from pipeline.markup import Markup, own_definition
from pipeline.shards.duplicates import comparison_settings
from pipeline.shards.manifest import CropPoints, join
from pipeline.shards.prepare import ChunkOptions
from pipeline.shards.prepare_config import PrepareConfig, SetConfig, ValidationConfig
from pipeline.storage import require_free_space

RECORDS_PER_CHUNK = 128
"""Unit of work and of resuming: some seconds of one core."""

_REVISION = 1
"""Raise it when the code changes prepared samples: older sets then no longer count as up to date."""


@dataclass(frozen=True)
class SetPlan:
    """One prepared set to be.

    Attributes:
        name: Its name; subfolder of ``out`` and prefix of its shards.
        folder: Where it goes.
        split: Its purpose.
        records: Its images, in the order of its samples.
        options: What workers need.
        samples_per_shard: Samples in every shard but the last.
        references: Names of the sets it must not repeat.
        source: For the manifest.
        settings: Everything of the config that shapes its bytes.
        remarks: What the reader has to say of what it passed over.
        subset: Which part of the data set's split, if not all of it.
    """

    name: str
    folder: str
    split: Literal["train", "validation", "test"]
    records: tuple[FaceRecord, ...]
    options: ChunkOptions
    samples_per_shard: int
    references: tuple[str, ...]
    source: dict[str, Any]
    settings: dict[str, Any]
    remarks: tuple[str, ...] = ()
    subset: str | None = None

    @property
    def dataset(self) -> str:
        """The data set, or sets, that the records say they are of."""
        return "+".join(sorted({record.source for record in self.records}))

    @property
    def chunk_count(self) -> int:
        """Units of work that the records are cut into."""
        return -(-len(self.records) // RECORDS_PER_CHUNK)

    def chunk(self, index: int) -> tuple[FaceRecord, ...]:
        """The records of one unit of work."""
        return self.records[index * RECORDS_PER_CHUNK : (index + 1) * RECORDS_PER_CHUNK]

    def config_hash(self, references: Iterable[str]) -> str:
        """Identity of the set's content: config, input and what it was compared with.

        Args:
            references: sha256 of every shard of the sets named in ``references``.
        """
        content = {**self.settings, "source": self.source, "compared_with": list(references)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def require_space(self, chunks: int) -> None:
        """Fail now if the disk cannot hold what is still to be prepared.

        Args:
            chunks: How many are missing.

        Raises:
            StorageError: Not enough space.
        """
        crop, markup = self.options.crop, self.options.markup
        # A stored JPEG takes at most some 0.8 B a pixel at quality 95; JSON and tar headers the rest. All of it
        # twice: as chunk and as shard.
        sample = 0.8 * crop.size**2 + 2048 + 40 * (markup.num_landmarks if markup else 0)
        missing = min(len(self.records), chunks * RECORDS_PER_CHUNK)
        require_free_space(self.folder, int(2 * sample * missing), f"preparing '{self.name}'")


def hold_out(
    records: Sequence[FaceRecord], part: ValidationConfig
) -> tuple[list[FaceRecord], list[FaceRecord]]:
    """Split off a validation part.

    Names are ranked by a seeded hash, so the draw depends on no order, and adding images to the data set
    moves only about as many between the parts as the part's own growth.

    Returns:
        (kept, held out), each in the records' order.

    Raises:
        ConfigError: The share leaves one part without an image.
    """

    def rank(record: FaceRecord) -> bytes:
        return hashlib.sha256(f"{part.seed}\0{record.source}\0{record.name}".encode()).digest()

    count = round(part.share * len(records))
    if not 0 < count < len(records):
        raise ConfigError(
            f"field 'validation.share' is {part.share}: that leaves a part of {len(records)} images empty; "
            "change it"
        )
    held = {id(record) for record in sorted(records, key=rank)[:count]}
    return [r for r in records if id(r) not in held], [r for r in records if id(r) in held]


def _fingerprint(records: Sequence[FaceRecord]) -> str:
    digest = hashlib.sha256()
    for record in records:
        # Readers of stored images can tell more than the name: size and annotation.
        own = getattr(record, "fingerprint", None)
        digest.update(f"{record.source}\0{record.name}\0{own() if callable(own) else ''}\n".encode())
    return digest.hexdigest()


def _markup(entry: SetConfig, markup: Markup | None, points: CropPoints) -> Markup | None:
    if entry.role == "unlabelled":
        return None
    if markup is None:
        raise ConfigError(
            f"set '{entry.name}': reader '{entry.reader['reader']}' has no landmarks; set role to unlabelled"
        )
    if markup.five_points is None and points == "detector":
        raise ConfigError(
            f"set '{entry.name}': markup '{markup.name}' lacks 'five_points', by which a detected face is known to be "
            "the labelled one; add them to its YAML, or set crop.points to landmarks, box or image"
        )
    return markup


def _check_flip_pairs(entry: SetConfig, markup: Markup | None, records: Sequence[FaceRecord]) -> None:
    """Wrong pairs would teach every mirrored face wrongly: found before the first image is read.

    Raises:
        ConfigError: Naming a landmark, and the one that its mirror image lies on.
    """
    if markup is None or markup.flip_pairs is None:
        return
    annotations = [getattr(record, "annotation", None) for record in records]
    shapes = [a.points_K2 for a in annotations if isinstance(a, Annotation)]
    fitting = [shape for shape in shapes if shape.shape == (markup.num_landmarks, 2)]
    wrong = wrong_partner(np.stack(fitting), markup.flip_permutation) if fitting else None
    if wrong is not None:
        raise ConfigError(f"set '{entry.name}': markup '{markup.name}': {wrong}; correct its flip_pairs")


def _plan(config: PrepareConfig, entry: SetConfig) -> list[SetPlan]:
    reader = open_reader(entry.reader)
    records = list(reader.records())
    policy = config.crop_of(entry).policy()
    options = ChunkOptions(
        role=entry.role,
        markup=_markup(entry, reader.markup, policy.points),
        crop=policy,
        min_face_px=config.min_face_px,
        on_no_face=config.on_no_face,
        several_faces=entry.several_faces,
        max_pixels=round(config.max_image_mpx * 1e6),
    )
    _check_flip_pairs(entry, options.markup, records)
    # How the detector batches and where it runs are not part of a set's identity.
    detector = {k: v for k, v in asdict(config.detector).items() if k not in {"batch", "device"}}
    references = entry.drop_near_duplicates_of
    parts: list[tuple[str, Literal["train", "validation", "test"], list[FaceRecord], tuple[str, ...]]]
    parts = [(entry.name, entry.split, records, references)]
    if entry.validation is not None:
        kept, held = hold_out(records, entry.validation)
        # The training part is kept whole; copies go from the part that only has to choose between models.
        own = (entry.name,) if entry.validation.drop_near_duplicates else ()
        parts = [
            (entry.name, entry.split, kept, references),
            (entry.validation.name, "validation", held, (*references, *own)),
        ]
    plans: list[SetPlan] = []
    for name, split, chosen, compared in parts:
        source: dict[str, Any] = {
            **entry.reader,
            "records": len(chosen),
            "records_sha256": _fingerprint(chosen),
        }
        if entry.validation is not None:
            source["held_out"] = entry.validation.model_dump(mode="json", exclude={"drop_near_duplicates"})
        settings = {
            "revision": _REVISION,
            "name": name,
            "split": split,
            "role": entry.role,
            "crop": policy.model_dump(mode="json"),
            "detector": detector if options.needs_detector else None,
            "min_face_px": config.min_face_px,
            "on_no_face": config.on_no_face if entry.role == "labelled" else None,
            "several_faces": entry.several_faces if entry.role == "unlabelled" else None,
            "samples_per_shard": config.samples_per_shard,
            "near_duplicates": comparison_settings() if compared else None,
        }
        if config.max_image_mpx != PrepareConfig.model_fields["max_image_mpx"].default:
            settings["max_image_mpx"] = config.max_image_mpx
        if entry.subset is not None:
            settings["subset"] = entry.subset
        definition = own_definition(options.markup)
        if definition is not None:  # a YAML of one's own may change under the same name
            settings["markup"] = definition
        plans.append(
            SetPlan(
                name=name,
                folder=join(config.out, name),
                split=split,
                records=tuple(chosen),
                options=options,
                samples_per_shard=config.samples_per_shard,
                references=compared,
                source=source,
                settings=settings,
                # Of the whole data set, so once.
                remarks=tuple(getattr(reader, "remarks", ())) if not plans else (),
                subset=entry.subset,
            )
        )
    return plans


def plan_sets(config: PrepareConfig) -> list[SetPlan]:
    """Open every data set and lay out what will be written, in order.

    Raises:
        ConfigError: Unknown reader or parameter, a labelled set without landmarks, wrong flip_pairs, an empty validation part.
        DataError: Missing folder, empty set, a list of faces that cannot be read as a whole.
    """
    for entry in config.sets:  # cheap checks of all sets before reading the annotations of any
        try:
            check_reader(entry.reader)
        except ConfigError as error:
            raise ConfigError(f"set '{entry.name}': {error}") from error
    return [plan for entry in config.sets for plan in _plan(config, entry)]
