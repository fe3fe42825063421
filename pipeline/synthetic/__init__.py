"""Procedurally rendered faces with exact landmarks; :mod:`pipeline.datasets.synthetic` is their reader."""

from pipeline.synthetic.render import RenderedFace, render_face

__all__ = ["RenderedFace", "render_face"]
