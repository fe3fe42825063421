"""XML that somebody else wrote: parsed without a document type, so without entities that grow without end or read other files."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from pipeline.errors import DataError


class _NoEntities(ElementTree.TreeBuilder):
    """Annotation tools declare no document type; a file that does may define entities."""

    def doctype(self, name: str, _public: str | None, _system: str | None) -> None:
        raise DataError(f"declares a document type ('{name}'), which no annotation tool's file does")


def parse_xml(path: Path) -> ElementTree.Element:
    """The root element of a file.

    Raises:
        DataError: It is no XML, cannot be read, or declares a document type.
    """
    try:
        return ElementTree.parse(path, ElementTree.XMLParser(target=_NoEntities())).getroot()
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:  # LookupError: its encoding
        raise DataError(f"{path}: no XML ({error}); export it again") from error
    except DataError as error:
        raise DataError(f"{path}: {error}; do not use this file") from error
