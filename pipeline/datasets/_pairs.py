"""Images and the ``.pts`` files that annotate them, paired by name: the layout 300-W's successors share."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

from pipeline.datasets._gather import Gathering
from pipeline.datasets.image import EXTENSIONS
from pipeline.errors import DataError


def _by_stem(paths: list[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(p for p in paths if not p.name.startswith(".")):
        found[path.stem].append(path)
    return found


def pair(
    annotations: Path,
    images: Path,
    prefix: str,
    faces: Gathering,
    *,
    spare_images: bool = False,
    remedy: str = "restore or remove it",
) -> list[tuple[Path, Path]]:
    """Match each ``STEM.pts`` with the image ``STEM``, of whatever extension.

    Args:
        annotations: Folder of the .pts files.
        images: Folder of the images.
        prefix: Of the images' names, for those left out.
        faces: Told of what does not pair: an annotation without image, the reverse, or two of one stem.
        spare_images: Images without annotation are nothing to be told of.
        remedy: For a missing image.

    Returns:
        (image, annotation) pairs, sorted by name.

    Raises:
        DataError: No annotations.
    """
    pts = _by_stem([p for p in annotations.iterdir() if p.suffix.lower() == ".pts"])
    found = _by_stem([p for p in images.iterdir() if p.suffix.lower() in EXTENSIONS])
    if not pts:
        raise DataError(f"{annotations}: no .pts files; is this the folder with the annotations?")
    pairs: list[tuple[Path, Path]] = []
    for stem in sorted(pts.keys() | found.keys()):
        of_image, of_points = found.get(stem, []), pts.get(stem, [])
        if len(of_image) == len(of_points) == 1:
            pairs.append((of_image[0], of_points[0]))
            continue
        if not of_image:
            problem = f"{of_points[0]}: no image {stem}.jpg or {stem}.png in {images}; {remedy}"
        elif not of_points:
            if spare_images:
                continue
            problem = (
                f"{of_image[0]}: no annotation {stem}.pts in {annotations}; restore it or remove the image"
            )
        else:
            first, second = (of_image if len(of_image) > 1 else of_points)[:2]
            problem = f"{second}: shares its annotation or image with {first.name}; remove one of the two"
        for path in of_image or of_points:
            faces.leave_out(PurePosixPath(prefix, path.name).as_posix(), problem)
    return pairs


def subfolders(root: Path, subsets: list[str], known: str) -> list[str]:
    """Check a reader's ``subsets``.

    Raises:
        DataError: No list, a folder that does not exist or leads out of the root, or one given twice.
    """
    if not subsets or isinstance(subsets, str):
        raise DataError(f"field 'subsets' is {subsets!r}: give a list of {known}")
    for subset in subsets:
        if ".." in Path(subset).parts or Path(subset).is_absolute():
            raise DataError(f"field 'subsets': '{subset}' leads out of {root}; give folders below it")
        if not (root / subset).is_dir():
            raise DataError(f"{root / subset}: no such folder; give a list of {known}")
        if subsets.count(subset) > 1:
            raise DataError(f"field 'subsets': '{subset}' is given twice; remove one")
    return list(subsets)
