"""Faces annotated in Label Studio with KeyPointLabels, exported as JSON.

Each labelled keypoint is named by the markup's ``names``, or by numbers. Positions are percentages of the image's size;
(0, 0) is the image's top-left corner, so half a pixel is subtracted. A landmark that is not there has no position. One whose
per-region choice is ``occluded`` is invisible. Of several faces in an image, each one's keypoints are children of its
rectangle (``parentID``), which then is its box.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.datasets._checks import Box, box, load_json, number
from pipeline.datasets._export import CORNER, Export
from pipeline.datasets._named import NamedPoints, landmark_numbers
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import StoredImage
from pipeline.errors import DataError

_KEYPOINTS, _RECTANGLES = "keypointlabels", "rectanglelabels"


def image_path(address: Any) -> Any:
    """Where a task's image lies below the root.

    ``/data/local-files/?d=faces/a.jpg`` gives ``faces/a.jpg``; an upload (``/data/upload/3/1a2b-a.jpg``) and a URL their last
    part, as the export names the files it brings along; anything else is a path already.
    """
    if not isinstance(address, str):
        return address
    parts = urlsplit(address)
    if parts.path.rstrip("/").endswith("/data/local-files"):
        return (parse_qs(parts.query).get("d") or [""])[0]
    if parts.scheme or address.startswith("/data/"):
        return unquote(parts.path.rsplit("/", 1)[-1])
    return address


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

    def records(self) -> list[FaceRecord]:
        """All faces, sorted by name. A task that nobody annotated, or whose annotation was cancelled, has none.

        Raises:
            DataError: Another export, or naming the task and the region.
        """
        tasks = load_json(self.path)
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise DataError(f"{self.path}: no list of tasks; export 'JSON' from Label Studio")
        results = [(task, self._result(task)) for task in tasks]
        labels = (
            _label(r, self._where(task)) for task, result in results for r in _of_type(result, _KEYPOINTS)
        )
        numbers = landmark_numbers(labels, self._markup, str(self.path))
        records = [record for task, result in results for record in self._faces(task, result, numbers)]
        return self.ordered(records, "annotated faces")

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
        return result

    def _faces(
        self, task: dict[str, Any], result: list[dict[str, Any]], numbers: dict[str, int]
    ) -> Iterator[StoredImage]:
        where = self._where(task)
        groups: dict[Any, list[dict[str, Any]]] = {}
        for region in _of_type(result, _KEYPOINTS):
            groups.setdefault(region.get("parentID"), []).append(region)
        if not groups:
            return
        name = self.image(image_path((task.get("data") or {}).get(self.field)), where)
        rectangles = {region.get("id"): region for region in _of_type(result, _RECTANGLES)}
        hidden = {
            region.get("id")
            for region in _of_type(result, "choices")
            if self.occluded in ((region.get("value") or {}).get("choices") or [])
        }
        for count, (parent, regions) in enumerate(groups.items(), start=1):
            face = NamedPoints(self._markup, f"{where}, face {count}")
            for region in regions:
                label = _label(region, where)
                x, y, _, _ = _pixels(region, face.where)
                face.add(numbers[label], label, x, y, visible=region.get("id") not in hidden)
            given: Box | None = None
            if parent in rectangles:
                left, top, width, height = _pixels(rectangles[parent], face.where)
                given = box((left, top, left + width, top + height), face.where)
            yield self.face(name, count, Annotation(face.points_K2, face.visible_K, given), where)


def _of_type(result: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [region for region in result if region.get("type") == kind]


def _label(region: dict[str, Any], where: str) -> str:
    labels = (region.get("value") or {}).get(_KEYPOINTS)
    if not isinstance(labels, list) or len(labels) != 1:
        raise DataError(f"{where}: a keypoint has the labels {labels!r}, expected one; correct it there")
    return str(labels[0])


def _pixels(region: dict[str, Any], where: str) -> tuple[float, float, float, float]:
    """x, y (pixel-centre convention), width and height of a region, px."""
    if region.get("image_rotation"):
        raise DataError(f"{where}: the image was rotated in Label Studio; rotate the file instead")
    width = number(region.get("original_width"), where, "original_width")
    height = number(region.get("original_height"), where, "original_height")
    value = region.get("value") or {}
    x, y, w, h = (
        number(value.get(side, 0), where, f"region's {side}") / 100 for side in ("x", "y", "width", "height")
    )
    return x * width + CORNER, y * height + CORNER, w * width, h * height


READER = LabelStudio
