"""Charts of what is gained by leaving faces out show the curves of the metrics."""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.metrics.selection import failures_found, risk_coverage
from pipeline.evaluation.plots.selection import reject_figure, risk_figure

RNG = np.random.default_rng(0)
ERROR = RNG.gamma(2.0, 0.03, 60)
FACES = {"good": (ERROR + RNG.normal(0, 0.01, 60), ERROR), "fine": (RNG.uniform(size=60), 0.1 * ERROR)}


def test_risk():
    (axis,) = risk_figure(FACES).axes
    solid = axis.lines[1]
    x, y = risk_coverage(ERROR, FACES["good"][0])
    np.testing.assert_allclose(
        solid.get_xdata(), 100 * x[4:]
    )  # the mean of fewer than five faces says nothing
    np.testing.assert_allclose(solid.get_ydata(), 100 * y[4:])
    assert (
        axis.lines[0].get_ydata() <= axis.lines[1].get_ydata() + 1e-9
    ).all()  # no order beats the oracle's


def test_failures():
    (axis,) = reject_figure(FACES, 0.1).axes
    assert len(axis.lines) == 2  # a run without a failure has no curve
    np.testing.assert_allclose(
        axis.lines[1].get_ydata(), 100 * failures_found(ERROR, FACES["good"][0], 0.1)[1]
    )
    assert f"({(ERROR > 0.1).sum()} faces)" in axis.get_legend().get_texts()[1].get_text()
