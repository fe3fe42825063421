"""An export "CVAT for images 1.1", recognised."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import Element

from pipeline.datasets.sniff.found import Found, one_label, ordered_names
from pipeline.errors import DataError

_EDGE = re.compile(r'data-node-from="(\d+)"[^>]*data-node-to="(\d+)"')
_NODE = re.compile(r'data-node-id="(\d+)"[^>]*data-label-name="([^"]*)"')


def recognise(root: Element, path: Path, label: str | None) -> Found | None:
    """What an XML is as an export of CVAT; None where it is none.

    Args:
        root: Of the XML.
        path: The file.
        label: Of the shapes; None for the only one.

    Raises:
        DataError: Of a video, without points, or with those of several labels.
    """
    if root.tag != "annotations":
        return None
    if root.find("track") is not None:
        raise DataError(f"{path}: CVAT, but of a video or in another format; export 'CVAT for images 1.1'")
    images = [
        (image, shapes)
        for image in root.iterfind("image")
        if (shapes := [s for s in image if s.tag in {"points", "skeleton"}])
    ]
    counts = Counter(str(shape.get("label")) for _, shapes in images for shape in shapes)
    if not counts:
        raise DataError(f"{path}: CVAT, but no shape is a skeleton or holds points")
    chosen = one_label(counts, label, path, "shapes")
    own = [s for _, shapes in images for s in shapes if s.get("label") == chosen]
    skeletons = [shape for shape in own if shape.tag == "skeleton"]
    found = Found(
        title="CVAT for images 1.1",
        reader="cvat",
        num_landmarks=Counter(len(s.get("points", "").split(";")) for s in own).most_common(1)[0][0],
        path=path,
        images=tuple(str(image.get("name")) for image, _ in images),
        keys={} if len(counts) == 1 else {"label": chosen},
    )
    return _of_skeletons(found, root, skeletons, chosen) if skeletons else found


def _of_skeletons(found: Found, root: Element, skeletons: list[Element], label: str) -> Found:
    """Names and edges from the project's definition, where the export has it; names else from the shapes."""
    svg, defined = "", []
    for entry in root.iterfind("meta//label"):
        if entry.findtext("name") == label:
            svg = entry.findtext("svg") or ""
        if entry.findtext("parent") == label:
            defined.append(entry.findtext("name") or "")
    seen = [str(point.get("label")) for skeleton in skeletons for point in skeleton.iterfind("points")]
    count, names = ordered_names([*(name for name in defined if name in seen), *seen])
    place = {name: k for k, name in enumerate(names or sorted(set(seen), key=int))}
    node = {number: place[name] for number, name in _NODE.findall(svg) if name in place}
    edges = tuple((node[a], node[b]) for a, b in _EDGE.findall(svg) if a in node and b in node)
    return Found(
        title=f"{found.title}, skeletons",
        reader=found.reader,
        num_landmarks=count,
        names=names,
        edges=edges,
        path=found.path,
        images=found.images,
        keys=found.keys,
    )
