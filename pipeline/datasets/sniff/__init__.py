"""What a folder or an export holds: the format of its annotations recognised, so that a config can be written for it.

A file is recognised by its content, never by its name alone. One that is of a format but cannot be used says why; of several that
can be used none is chosen.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pipeline.datasets._checks import load_json, on_disk
from pipeline.datasets._xml import parse_xml
from pipeline.datasets.sniff import coco, cvat, folders, imglab, label_studio, table
from pipeline.datasets.sniff.found import Found, folder_of_images
from pipeline.errors import DataError

FORMATS = (
    "COCO keypoints (.json), CVAT for images 1.1 (.xml), dlib's imglab (.xml), Label Studio (.json), a table (.csv or .jsonl "
    "with path, x0, y0, …), .pts beside images, FaceSynthetics (NNNNNN_ldmks.txt)"
)
_SUFFIXES = {".json", ".xml", ".csv", ".jsonl"}
_DEPTH = 2  # folders below the one given in which a file of annotations is looked for
_MOST = 200  # files; a folder with more has one an image, of a format that is not read


def sniff(path: str, *, images: str | None = None, label: str | None = None) -> Found:
    """Recognise an export, or what a folder holds.

    Args:
        path: File of annotations, or a folder.
        images: Folder of the images, where it is not beside the annotations.
        label: The annotated things' label, where there are several.

    Returns:
        The format, with the folder of images.

    Raises:
        DataError: Nothing that can be read, with what was looked for and why not; or several things.
    """
    place = on_disk(path)
    if not place.exists():
        raise DataError(f"{place}: no such file or folder")
    given = [on_disk(images)] if images is not None else []
    if not all(folder.is_dir() for folder in given):
        raise DataError(f"{given[0]}: no such folder of images")
    if place.is_file():
        found = _of_file(place, label)
        if found is None:
            raise DataError(f"{place}: not recognised; looked for {FORMATS}")
        return folder_of_images(found, given)
    return _in_folder(place, given, label)


def _in_folder(place: Path, given: list[Path], label: str | None) -> Found:
    recognised: list[Found] = []
    problems: list[str] = []
    for path in _candidates(place):
        try:
            if (found := _of_file(path, label)) is not None:
                recognised.append(found)
        except DataError as error:
            problems.append(str(error))
    layouts = [found for look in (folders.face_synthetics, folders.pts) if (found := look(place)) is not None]
    if len(recognised) + len(layouts) == 1:
        return layouts[0] if layouts else folder_of_images(recognised[0], [*given, place])
    if recognised or layouts:
        listed = "; ".join(f"{found.path or found.root} ({found.title})" for found in (*recognised, *layouts))
        raise DataError(f"{place}: holds more than one thing, {listed}: give the path of one")
    kinds = Counter(p.suffix.lower() or "no extension" for p in place.rglob("*") if p.is_file())
    held = ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common(6)) or "nothing"
    reasons = "".join(f"\n  {problem}" for problem in problems[:5])
    raise DataError(
        f"{place}: no annotations recognised; looked for {FORMATS}; it holds {held}. Published sets have readers of their own, "
        f"images without annotations 'folder' (landmarks help reader){reasons}"
    )


def _candidates(place: Path) -> list[Path]:
    levels = ["/".join(["*"] * depth) for depth in range(1, _DEPTH + 2)]
    files = [p for level in levels for p in sorted(place.glob(level)) if p.suffix.lower() in _SUFFIXES]
    visible = [p for p in files if not any(part.startswith(".") for part in p.relative_to(place).parts)]
    return [p for p in visible if p.is_file()][:_MOST]


def _of_file(path: Path, label: str | None) -> Found | None:
    """What a file is; None where it is nothing that is read.

    Raises:
        DataError: It is broken, or of a format but of no use.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        content = load_json(path)
        return coco.recognise(content, path, label) or label_studio.recognise(content, path)
    if suffix == ".xml":
        root = parse_xml(path)
        return cvat.recognise(root, path, label) or imglab.recognise(root, path)
    return table.recognise(path) if suffix in {".csv", ".jsonl"} else None
