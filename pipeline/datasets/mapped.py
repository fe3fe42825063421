"""Another reader's faces with their landmarks mapped to another markup: how protocols across data sets are prepared.

    {reader: mapped, markup: ibug68, of: {reader: wflw, root: …, subset: test}}

gives WFLW's test faces 300-W's 68 landmarks. A landmark without counterpart has no position and is invisible.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.datasets.face import FaceImage, FaceRecord, Unusable
from pipeline.datasets.open import open_reader
from pipeline.errors import ConfigError
from pipeline.markup import Markup, load_markup
from pipeline.markup_mapping import MarkupMapping, find_mapping


@dataclass(frozen=True)
class MappedFace:
    """A face whose annotation is mapped when it is loaded. A ``FaceRecord``."""

    record: FaceRecord
    mapping: MarkupMapping

    @property
    def source(self) -> str:
        """The data set's."""
        return self.record.source

    @property
    def name(self) -> str:
        """The image's."""
        return self.record.name

    def load(self) -> FaceImage:
        """Read the image; map its annotation."""
        image = self.record.load()
        if image.annotation is None:
            return image
        annotation = replace(
            image.annotation,
            points_K2=self.mapping.points(image.annotation.points_K2),
            visible_K=self.mapping.visible(image.annotation.visible_K),
        )
        return replace(image, annotation=annotation)

    def fingerprint(self) -> str:
        """Changes with the record's own, and with the mapping."""
        own = getattr(self.record, "fingerprint", None)
        digest = hashlib.sha256((own() if callable(own) else "").encode())
        weights_TS = self.mapping.weights_TS
        digest.update(np.ascontiguousarray(weights_TS.real, dtype="<f8").tobytes())
        if (
            weights_TS.imag.any()
        ):  # offsets; without any, what was prepared before there were some stays prepared
            digest.update(np.ascontiguousarray(weights_TS.imag, dtype="<f8").tobytes())
        return digest.hexdigest()


class Mapped:
    """Reader of another reader's faces in another markup.

    Args:
        of: The other reader and its parameters, as in a config.
        markup: Packaged name, or path of a YAML, of the markup to map to.

    Raises:
        ConfigError: No such reader or markup, no landmarks, or no mapping to this markup.
    """

    def __init__(self, of: dict[str, Any], markup: str) -> None:
        self._reader = open_reader(of)
        self._markup = load_markup(markup)
        if self._reader.markup is None:
            raise ConfigError(f"reader '{of['reader']}' has no landmarks to map; read it without 'mapped'")
        self._mapping = find_mapping(self._reader.markup, self._markup)

    @property
    def markup(self) -> Markup:
        """The one mapped to."""
        return self._markup

    def records(self) -> list[FaceRecord]:
        """The other reader's, mapped. Raises what it raises."""
        return [
            record if isinstance(record, Unusable) else MappedFace(record, self._mapping)
            for record in self._reader.records()
        ]


READER = Mapped
