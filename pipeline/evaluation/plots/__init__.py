"""Charts (matplotlib, imported when drawn) and images of faces (Pillow)."""

from pipeline.evaluation.plots.canvas import render
from pipeline.evaluation.plots.charts import (
    Series,
    ced_figure,
    curve_figure,
    histogram_figure,
    landmark_map_figure,
    training_figure,
)
from pipeline.evaluation.plots.overlays import draw_landmarks, face_grid, heatmap_panel
from pipeline.evaluation.plots.palette import DARK, LIGHT, Theme

__all__ = [
    "DARK",
    "LIGHT",
    "Series",
    "Theme",
    "ced_figure",
    "curve_figure",
    "draw_landmarks",
    "face_grid",
    "heatmap_panel",
    "histogram_figure",
    "landmark_map_figure",
    "render",
    "training_figure",
]
