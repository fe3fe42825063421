"""Procedurally rendered faces with exact landmarks: the embedded default data set."""

from pipeline.datasets.synthetic import SyntheticFaces, SyntheticRecord
from pipeline.synthetic.render import RenderedFace, render_face

__all__ = ["RenderedFace", "SyntheticFaces", "SyntheticRecord", "render_face"]
