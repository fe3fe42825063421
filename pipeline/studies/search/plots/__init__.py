"""Charts of a search; matplotlib is imported when they are drawn."""

from pipeline.studies.search.plots.history import curves_figure, history_figure
from pipeline.studies.search.plots.keys import importance_figure, slices_figure
from pipeline.studies.search.plots.parallel import parallel_figure

__all__ = ["curves_figure", "history_figure", "importance_figure", "parallel_figure", "slices_figure"]
