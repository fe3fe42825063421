"""dlib's imglab XML, recognised."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from pipeline.datasets.imglab import annotated, part_label
from pipeline.datasets.sniff.found import Found, ordered_names
from pipeline.errors import DataError


def recognise(root: Element, path: Path) -> Found | None:
    """What an XML is as one of imglab's; None where it is none.

    Raises:
        DataError: imglab's, but without parts.
    """
    if root.tag != "dataset" or root.find("images") is None:
        return None
    images = [image for image in root.iterfind("images/image") if annotated(image)]
    labels = [
        part_label(part.get("name"))
        for image in images
        for box in annotated(image)
        for part in box.iterfind("part")
    ]
    if not labels:
        raise DataError(f"{path}: imglab's, but no box has parts: they are the landmarks")
    count, names = ordered_names(labels)
    return Found(
        title="dlib's imglab XML",
        reader="imglab",
        num_landmarks=count,
        names=names,
        path=path,
        images=tuple(str(image.get("file")) for image in images),
    )
