"""Label Studio's JSON, recognised."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.datasets.image import EXTENSIONS
from pipeline.datasets.label_studio import image_path
from pipeline.datasets.sniff.found import Found, dicts, ordered_names
from pipeline.errors import DataError


def recognise(content: Any, path: Path) -> Found | None:
    """What a JSON is as an export of Label Studio; None where it is none.

    Raises:
        DataError: Label Studio's, but without keypoints, or without images.
    """
    tasks = dicts(content)
    if not any("annotations" in task and "data" in task for task in tasks):
        return None
    regions = [
        region
        for task in tasks
        for annotation in dicts(task.get("annotations"))
        if not annotation.get("was_cancelled")
        for region in dicts(annotation.get("result"))
    ]
    values = [region.get("value") for region in regions if region.get("type") == "keypointlabels"]
    listed = [value.get("keypointlabels") for value in values if isinstance(value, dict)]
    labels = [str(names[0]) for names in listed if isinstance(names, list) and len(names) == 1]
    if not labels:
        raise DataError(f"{path}: Label Studio's, but nothing in it is annotated with KeyPointLabels")
    count, names = ordered_names(labels)
    data = [task["data"] for task in tasks if isinstance(task.get("data"), dict)]
    fields = Counter(name for entry in data for name, value in entry.items() if _is_image(value))
    if not fields:
        raise DataError(f"{path}: Label Studio's, but no field of its tasks' 'data' names an image")
    chosen = "image" if "image" in fields else fields.most_common(1)[0][0]
    return Found(
        title="Label Studio's JSON",
        reader="label_studio",
        num_landmarks=count,
        names=names,
        path=path,
        images=tuple(str(image_path(entry[chosen])) for entry in data if _is_image(entry.get(chosen))),
        keys={} if chosen == "image" else {"field": chosen},
    )


def _is_image(value: Any) -> bool:
    found = image_path(value)
    return isinstance(found, str) and PurePosixPath(found).suffix.lower() in EXTENSIONS
