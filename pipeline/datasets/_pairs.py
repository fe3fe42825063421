"""Images and the ``.pts`` files that annotate them, paired by name: the layout 300-W's successors share."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import DataError

_IMAGES = (".jpg", ".jpeg", ".png")


def _by_stem(paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(p for p in paths if not p.name.startswith(".")):
        if path.stem in found:
            raise DataError(
                f"{path}: shares its annotation with {found[path.stem].name}; remove one of the two"
            )
        found[path.stem] = path
    return found


def pair(
    annotations: Path, images: Path, *, spare_images: bool = False, remedy: str = "restore or remove it"
) -> list[tuple[Path, Path]]:
    """Match ``STEM.pts`` with ``STEM.jpg`` or ``STEM.png``.

    Args:
        annotations: Folder of the .pts files.
        images: Folder of the images.
        spare_images: Leave images without annotation out, instead of refusing them.
        remedy: For a missing image.

    Returns:
        (image, annotation) pairs, sorted by name.

    Raises:
        DataError: No annotations, an annotation without image, or the reverse, or two images of one annotation.
    """
    pts = _by_stem([p for p in annotations.iterdir() if p.suffix.lower() == ".pts"])
    found = _by_stem([p for p in images.iterdir() if p.suffix.lower() in _IMAGES])
    if not pts:
        raise DataError(f"{annotations}: no .pts files; is this the folder with the annotations?")
    for stem in sorted(pts.keys() - found.keys()):
        raise DataError(f"{pts[stem]}: no image {stem}.jpg or {stem}.png in {images}; {remedy}")
    if not spare_images:
        for stem in sorted(found.keys() - pts.keys()):
            raise DataError(
                f"{found[stem]}: no annotation {stem}.pts in {annotations}; restore it or remove the image"
            )
    return [(found[stem], pts[stem]) for stem in sorted(pts)]


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
