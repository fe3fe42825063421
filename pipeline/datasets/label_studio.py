"""Faces annotated in Label Studio with KeyPointLabels, exported as JSON.

Each labelled keypoint is named by the markup's ``names``, or by numbers. Positions are percentages of the image's size;
(0, 0) is the image's top-left corner, so half a pixel is subtracted. A landmark that is not there has no position. One whose
per-region choice is ``occluded`` is invisible. Of several faces in an image, each one's keypoints are children of its
rectangle (``parentID``), which then is its box. A copy of the image at another scale is as good; one of another shape is not.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.datasets._checks import Box, box, load_json, mapping, number, size
from pipeline.datasets._decode import DeclaredSize
from pipeline.datasets._export import CORNER, Export
from pipeline.datasets._gather import Gathering
from pipeline.datasets._named import NamedPoints, landmark_numbers
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.errors import DataError

_KEYPOINTS, _RECTANGLES = "keypointlabels", "rectanglelabels"
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")


def image_path(address: Any) -> Any:
    """Where a task's image lies below the root.

    ``/data/local-files/?d=faces/a.jpg`` gives ``faces/a.jpg``; an upload (``/data/upload/3/1a2b-a.jpg``) and a URL their last
    part, as the export names the files it brings along; anything else is a path already.
    """
    if not isinstance(address, str):
        return address
    try:
        parts = urlsplit(address)
    except ValueError:  # brackets of no IPv6 address: no URL, so a path
        return address
    if parts.path.rstrip("/").endswith("/data/local-files"):
        return (parse_qs(parts.query).get("d") or [""])[0]
    if parts.scheme or address.startswith("/data/"):
        return unquote(parts.path.rsplit("/", 1)[-1])
    return address


def without_prefix(image: str) -> str:
    """An uploaded image's path as it was before Label Studio wrote eight digits and a dash in front of its name."""
    path = PurePosixPath(image)
    return path.with_name(_UPLOADED.sub("", path.name)).as_posix()


class LabelStudio(Export):
    """Reader of Label Studio's JSON. A face's name is its image's and its number there: ``a.jpg#1``.

    Args:
        path: The export ("JSON", not "JSON-MIN").
        root: Folder of the images; see ``image_path``.
        markup: Packaged name, or path of a YAML.
        field: Field of a task's ``data`` that names the image.
        occluded: The per-region choice that marks an occluded landmark.
        source: Name written beside every sample.
        upright: Turn images as their EXIF orientation says; Label Studio shows them so.

    Raises:
        DataError: A file or folder does not exist.
        ConfigError: No such markup.
    """

    kind = "a JSON that Label Studio exported"

    def __init__(
        self,
        path: str,
        root: str,
        markup: str,
        field: str = "image",
        occluded: str = "occluded",
        source: str = "label_studio",
        upright: bool = True,
    ) -> None:
        super().__init__(path, root, markup, source, upright)
        self.field, self.occluded = field, occluded

    def image(self, name: object, where: str) -> str:
        """As of any export; an upload's name without what Label Studio put in front of it, where only that file is there."""
        found = super().image(name, where)
        plain = without_prefix(found)
        return plain if not (self.root / found).exists() and (self.root / plain).exists() else found

    def records(self) -> list[FaceRecord]:
        """All faces, sorted by name; a malformed one is an ``Unusable``. A task without annotation, or a cancelled one, has none.

        Raises:
            DataError: Another export, one without keypoints, or landmarks numbered from nobody knows where.
        """
        tasks = load_json(self.path)
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise DataError(f"{self.path}: no list of tasks; export 'JSON' from Label Studio")
        faces = Gathering(self.source)
        results: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        for position, task in enumerate(tasks):
            with faces.entry(f"task {task.get('id', f'number {position + 1}')}"):
                results.append((task, self._result(task)))
        regions = [region for _, result in results for region in result]
        keypoints = _of_type(regions, _KEYPOINTS)
        if not keypoints and not faces.listed():
            raise self._none(regions)
        labels = [label for region in keypoints if (label := _only_label(region)) is not None]
        numbers = landmark_numbers(labels, self._markup, str(self.path)) if labels else {}
        for task, result in results:
            with faces.entry(f"task {task.get('id')}"):
                self._task(task, result, numbers, faces)
        return faces.ordered(self.path, "annotated faces")

    def _none(self, regions: list[dict[str, Any]]) -> DataError:
        types = Counter(str(region.get("type")) for region in regions)
        held = ", ".join(f"{count} {kind}" for kind, count in types.most_common()) or "no regions at all"
        return DataError(
            f"{self.path}: no keypoints in it, but {held}; annotate faces with KeyPointLabels and export again"
        )

    def _where(self, task: dict[str, Any]) -> str:
        return f"{self.path}: task {task.get('id')}"

    def _result(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        annotations = task.get("annotations")
        if not isinstance(annotations, list):
            raise DataError(f"{self._where(task)}: no 'annotations'; export 'JSON', not 'JSON-MIN'")
        kept = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
        if len(kept) > 1:
            raise DataError(
                f"{self._where(task)}: {len(kept)} annotations; keep one of them, or mark the others as cancelled"
            )
        result = kept[0].get("result") if kept else []
        if not isinstance(result, list) or not all(isinstance(region, dict) for region in result):
            raise DataError(f"{self._where(task)}: 'result' is no list of regions; export it again")
        for region in result:
            mapping(region.get("value"), self._where(task), "a region's 'value'")
            for field in ("id", "parentID"):
                if not isinstance(region.get(field), (str, int, type(None))):
                    raise DataError(f"{self._where(task)}: a region's '{field}' is {region[field]!r}")
        return result

    def _task(
        self,
        task: dict[str, Any],
        result: list[dict[str, Any]],
        numbers: dict[str, int],
        faces: Gathering,
    ) -> None:
        where = self._where(task)
        groups: dict[Any, list[dict[str, Any]]] = {}
        for region in _of_type(result, _KEYPOINTS):
            groups.setdefault(region.get("parentID"), []).append(region)
        if not groups:
            return
        data = mapping(task.get("data"), where, "'data'")
        if self.field not in data:
            raise DataError(
                f"{where}: 'data' has no '{self.field}', only {', '.join(data) or 'nothing'}; set 'field' to the image's"
            )
        name = self.image(image_path(data[self.field]), where)
        rectangles = {region.get("id"): region for region in _of_type(result, _RECTANGLES)}
        hidden = {
            region.get("id") for region in _of_type(result, "choices") if self.occluded in _choices(region)
        }
        for count, (parent, regions) in enumerate(groups.items(), start=1):
            with faces.entry(f"{name}#{count}"):
                face = NamedPoints(self._markup, numbers, f"{where}, face {count}")
                sizes = {_size(region, face.where) for region in regions}
                if len(sizes) > 1:
                    raise DataError(
                        f"{face.where}: its keypoints were set on images of several sizes; export it again"
                    )
                for region in regions:
                    x, y, _, _ = _pixels(region, face.where)
                    visible = region.get("id") not in hidden
                    face.add(_label(region, face.where), x, y, visible=visible)
                given: Box | None = None
                if parent in rectangles:
                    left, top, width, height = _pixels(rectangles[parent], face.where)
                    given = box((left, top, left + width, top + height), face.where)
                annotation = Annotation(face.points_K2, face.visible_K, given)
                faces.add(self.face(name, count, annotation, where, sizes.pop()))


def _of_type(result: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [region for region in result if region.get("type") == kind]


def _choices(region: dict[str, Any]) -> list[Any]:
    choices = (region.get("value") or {}).get("choices")
    return choices if isinstance(choices, list) else []


def _only_label(region: dict[str, Any]) -> str | None:
    labels = (region.get("value") or {}).get(_KEYPOINTS)
    return str(labels[0]) if isinstance(labels, list) and len(labels) == 1 else None


def _label(region: dict[str, Any], where: str) -> str:
    label = _only_label(region)
    if label is None:
        labels = (region.get("value") or {}).get(_KEYPOINTS)
        raise DataError(f"{where}: a keypoint has the labels {labels!r}, expected one; correct it there")
    return label


def _size(region: dict[str, Any], where: str) -> DeclaredSize:
    """The size of the image that a region was drawn on; its positions are shares of that."""
    declared = size(region.get("original_width"), region.get("original_height"), where)
    if declared is None:
        raise DataError(f"{where}: no 'original_width' and 'original_height'; export it again")
    return replace(declared, relative=True)


def _pixels(region: dict[str, Any], where: str) -> tuple[float, float, float, float]:
    """x, y (pixel-centre convention), width and height of a region, px of the image it was drawn on."""
    if region.get("image_rotation"):
        raise DataError(f"{where}: the image was rotated in Label Studio; rotate the file instead")
    drawn_on, value = _size(region, where), region.get("value") or {}
    x, y, w, h = (
        number(value.get(side, 0), where, f"region's {side}") / 100 for side in ("x", "y", "width", "height")
    )
    return x * drawn_on.width + CORNER, y * drawn_on.height + CORNER, w * drawn_on.width, h * drawn_on.height


READER = LabelStudio
