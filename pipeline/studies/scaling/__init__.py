"""Scaling studies: error against unlabelled and labelled faces, the gain and its evidence, and the answer in words."""

from pipeline.studies.scaling.analysis import Analysis, analyse, as_json
from pipeline.studies.scaling.cells import Cell, CellResult, Group, Study
from pipeline.studies.scaling.files import write_study
from pipeline.studies.scaling.report import build_scaling_report, render_scaling_report
from pipeline.studies.scaling.table import console_table, markdown
from pipeline.studies.scaling.tables import brief, tables

__all__ = [
    "Analysis",
    "Cell",
    "CellResult",
    "Group",
    "Study",
    "analyse",
    "as_json",
    "brief",
    "build_scaling_report",
    "console_table",
    "markdown",
    "render_scaling_report",
    "tables",
    "write_study",
]
