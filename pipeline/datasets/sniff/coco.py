"""COCO keypoints, recognised."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.datasets.sniff.found import Found, dicts, one_label, ordered_names
from pipeline.errors import DataError


def recognise(content: Any, path: Path, label: str | None) -> Found | None:
    """What a JSON is as COCO keypoints; None where it is none.

    Args:
        content: Of the file.
        path: The file.
        label: Name of the category; None for the only one.

    Raises:
        DataError: COCO, but without keypoints, or with those of several categories.
    """
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= content.keys():
        return None
    categories = {c["id"]: c for c in dicts(content["categories"]) if isinstance(c.get("id"), (int, str))}
    annotated = [a for a in dicts(content["annotations"]) if _has_landmarks(a, categories)]
    if not annotated:
        raise DataError(
            f"{path}: COCO, but no annotation has keypoints (boxes and masks alone train nothing here)"
        )
    counts = Counter(str(categories[a["category_id"]].get("name")) for a in annotated)
    chosen = one_label(counts, label, path, "categories")
    annotated = [a for a in annotated if str(categories[a["category_id"]].get("name")) == chosen]
    category = categories[annotated[0]["category_id"]]
    count = Counter(len(a["keypoints"]) // 3 for a in annotated).most_common(1)[0][0]
    listed = category.get("keypoints")
    names = None
    if isinstance(listed, list) and len({str(name) for name in listed}) == count:
        names = ordered_names(map(str, listed))[1]
    several = sum(isinstance(each.get("keypoints"), list) for each in categories.values()) > 1
    seen = {v for a in annotated for v in a["keypoints"][2::3]}
    found = Found(
        title="COCO keypoints",
        reader="coco",
        num_landmarks=count,
        names=names,
        edges=_edges(category.get("skeleton"), count),
        path=path,
        images=_images(content, annotated),
        keys={"category": chosen} if several else {},
    )
    found = found.remarking(
        "(0, 0) is taken for the centre of the top-left pixel, as in COCO itself; exports of CVAT and Label Studio have its "
        "corner there: then set 'origin: corner' of the reader"
    )
    if 2 not in seen and 1 in seen:
        found.keys["one_means"] = "visible"
        found = found.remarking("no landmark has visibility 2: 1 is taken for visible ('one_means')")
    return found


def _has_landmarks(annotation: dict[str, Any], categories: dict[Any, dict[str, Any]]) -> bool:
    known = isinstance(annotation.get("category_id"), (int, str)) and annotation["category_id"] in categories
    points = annotation.get("keypoints")
    if not known or annotation.get("iscrowd") or not isinstance(points, list) or len(points) < 3:
        return False
    return all(isinstance(v, (int, float)) for v in points[2::3]) and any(points[2::3])


def _edges(skeleton: Any, count: int) -> tuple[tuple[int, int], ...]:
    """COCO counts landmarks of skeletons from 1."""
    pairs = [pair for pair in skeleton if isinstance(pair, list)] if isinstance(skeleton, list) else []
    sound = [p for p in pairs if len(p) == 2 and all(type(i) is int and 1 <= i <= count for i in p)]
    return tuple((a - 1, b - 1) for a, b in sound)


def _images(content: dict[str, Any], annotated: list[dict[str, Any]]) -> tuple[str, ...]:
    wanted = {str(a.get("image_id")) for a in annotated}
    entries = [i for i in dicts(content["images"]) if str(i.get("id")) in wanted]
    return tuple(i["file_name"] for i in entries if isinstance(i.get("file_name"), str))
