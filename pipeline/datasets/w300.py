"""300-W in its official layout (Sagonas et al., 300 Faces in-the-Wild, ICCVW 2013).

Folders ``afw``, ``helen/trainset``, ``helen/testset``, ``lfpw/trainset``, ``lfpw/testset``, ``ibug``; each
image (.jpg or .png) beside its ``.pts``, whose coordinates are 1-based: 1 is subtracted, giving the
pixel-centre convention.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import StoredImage, require_unique_names, stored_file
from pipeline.errors import DataError
from pipeline.markup import Markup, load_markup
from pipeline.storage import absolute

OFFICIAL_SUBSETS = ("afw", "helen/trainset", "helen/testset", "lfpw/trainset", "lfpw/testset", "ibug")
_IMAGES = (".jpg", ".png")


def read_pts(path: Path, num_landmarks: int) -> np.ndarray:
    """Read one ``.pts`` file.

    Args:
        path: The file: ``version: 1``, ``n_points: K``, then K lines ``x y`` between braces.
        num_landmarks: K.

    Returns:
        (K, 2) float64, (x, y) px, 0-based.

    Raises:
        DataError: Naming file and line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read the annotation: {error}") from error
    opening = next((i for i, line in enumerate(lines) if line.strip() == "{"), None)
    if opening is None:
        raise DataError(f"{path}: no line '{{': this is no .pts file; download the annotation again")
    points: list[tuple[float, float]] = []
    closed = False
    for number, line in enumerate(lines[opening + 1 :], start=opening + 2):
        if line.strip() == "}":
            closed = True
            break
        fields = line.split()
        try:
            x, y = (float(field) for field in fields)
        except ValueError as error:
            raise DataError(
                f"{path}, line {number}: expected 'x y', got {line.strip()!r}; correct the annotation"
            ) from error
        if not (np.isfinite(x) and np.isfinite(y)):
            raise DataError(f"{path}, line {number}: {line.strip()!r} is not finite; correct the annotation")
        points.append((x, y))
    if not closed:
        raise DataError(f"{path}: no line '}}': the file is truncated; download the annotation again")
    if len(points) != num_landmarks:
        raise DataError(
            f"{path}: {len(points)} points, expected {num_landmarks}; correct it or remove it and its image"
        )
    return np.array(points, dtype=np.float64) - 1.0


class W300:
    """Reader of 300-W.

    Args:
        root: The folder that holds ``afw``, ``helen`` and so on.
        subsets: Folders under ``root``, e.g. ``["helen/testset", "lfpw/testset"]`` for the common test set.
        source: Name written beside every sample.

    Raises:
        DataError: The root or a subset does not exist, or a subset is named twice.
    """

    def __init__(self, root: str, subsets: list[str], source: str = "300w") -> None:
        self.root = Path(absolute(root))
        self.source = source
        self.subsets = list(subsets)
        if not self.root.is_dir():
            raise DataError(
                f"{self.root}: no such folder; set 'root' to the folder that holds afw, helen, lfpw and ibug"
            )
        if not subsets or isinstance(subsets, str):
            raise DataError(
                f"field 'subsets' is {subsets!r}: give a list of some of {', '.join(OFFICIAL_SUBSETS)}"
            )
        for subset in subsets:
            if not (self.root / subset).is_dir():
                raise DataError(
                    f"{self.root / subset}: no such folder; 300-W has {', '.join(OFFICIAL_SUBSETS)}"
                )
            if subsets.count(subset) > 1:
                raise DataError(f"field 'subsets': '{subset}' is given twice; remove one")

    @property
    def markup(self) -> Markup:
        """The 68 landmarks of 300-W."""
        return load_markup("ibug68")

    def records(self) -> list[FaceRecord]:
        """All faces of the subsets, sorted by name (``helen/trainset/1_1.jpg``).

        Raises:
            DataError: Empty subset, malformed annotation, an image without annotation or the reverse.
        """
        records: list[StoredImage] = []
        for subset in self.subsets:
            found = self._subset(subset)
            if not found:
                raise DataError(
                    f"{self.root / subset}: no .pts files; is this the 300-W folder with its annotations?"
                )
            records += found
        return list(require_unique_names(records))

    def _subset(self, subset: str) -> list[StoredImage]:
        folder = self.root / subset
        images: dict[str, Path] = {}
        for path in sorted(
            p for p in folder.iterdir() if p.suffix.lower() in _IMAGES and not p.name.startswith(".")
        ):
            if path.stem in images:
                raise DataError(
                    f"{path}: shares its annotation with {images[path.stem].name}; remove one of the two"
                )
            images[path.stem] = path
        annotations = {p.stem: p for p in folder.glob("*.pts") if not p.name.startswith(".")}
        for stem in sorted(annotations.keys() ^ images.keys()):
            if stem in annotations:
                raise DataError(
                    f"{annotations[stem]}: no {stem}.jpg or {stem}.png beside it; restore or remove it"
                )
            raise DataError(
                f"{images[stem]}: no annotation {stem}.pts beside it; restore it or remove the image"
            )
        markup = self.markup
        records = []
        for stem, path in images.items():
            points_K2 = read_pts(annotations[stem], markup.num_landmarks)
            visible_K = np.ones(markup.num_landmarks, dtype=bool)
            annotation = Annotation(points_K2, visible_K)
            records.append(
                stored_file(path, source=self.source, name=f"{subset}/{path.name}", annotation=annotation)
            )
        return records


READER = W300
