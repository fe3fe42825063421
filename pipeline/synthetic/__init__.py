"""Procedurally rendered faces with exact landmarks; ``pipeline.datasets.synthetic`` reads them as a data set."""

from pipeline.synthetic.render import RenderedFace, render_face

__all__ = ["RenderedFace", "render_face"]
