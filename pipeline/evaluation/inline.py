"""Images and charts as data URIs, and the templates they go into: a page that is one file and asks for nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image

from pipeline.evaluation.plots.canvas import render
from pipeline.evaluation.plots.palette import DARK, LIGHT, Theme

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure


def data_uri(kind: str, content: bytes) -> str:
    """Bytes of a media type as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def jpeg(image: Image.Image) -> str:
    """An image as a data URI."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=84)
    return data_uri("image/jpeg", buffer.getvalue())


def themed(draw: Callable[[Theme], Figure]) -> dict[str, str]:
    """A chart in both themes: ``light`` and ``dark`` data URIs of SVGs."""
    # As images, not inline: SVG in an image can't run or fetch anything, and ids of two charts never meet.
    return {
        name: data_uri("image/svg+xml", render(draw(theme), "svg"))
        for name, theme in (("light", LIGHT), ("dark", DARK))
    }


def page_template(name: str, package: str = "pipeline.evaluation") -> Template:
    """A template of a package, in the style that all pages share. Names come from files and people: all is escaped."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("pipeline.evaluation")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
