"""The record of what a model's uncertainty sorts out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.evaluation.metrics.nme import face_size
from pipeline.evaluation.protocol import face_nme
from pipeline.evaluation.selection import face_uncertainty, summarise_selection


@pytest.fixture
def faces(tiny, predict):
    """Forty faces whose noise grows with their number, and the covariances that say so."""
    predictions = predict(tiny, faces=40, noise=1.0, covariance=1.0)
    grow = np.linspace(0.2, 12, 40)
    off = predictions.points_NK2 - predictions.target_NK2
    return dataclasses.replace(
        predictions,
        points_NK2=predictions.target_NK2 + off * grow[:, None, None],
        covariance_NK22=(predictions.covariance_NK22 * grow[:, None, None, None] ** 2).astype(np.float32),
        scatter_NK=np.tile(grow[::-1, None], (1, 6)),
    )


def sizes(predictions, tiny):
    return face_size(predictions.target_NK2, predictions.mask_NK, "ocular", tiny)


def test_covariances_sort_and_an_honest_order_is_nearly_the_errors_own(faces, tiny):
    summary = summarise_selection(faces, sizes(faces, tiny))
    nme_N = 100 * face_nme(faces, tiny, "ocular")
    assert summary.by == "covariance"
    assert summary.ause < 0.15
    assert summary.aurc < 0.75 * nme_N.mean()
    assert summary.risk["80"] == pytest.approx(nme_N[:32].mean(), rel=0.05)  # sizes shuffle a few
    assert (nme_N > 10).any()
    # All above 10 % are among the last: a fifth holds them, or is full of them.
    most = min(1.0, 8 / (nme_N > 10).sum())
    assert summary.found["20"] >= 100 * 0.7 * most


def test_without_covariances_the_heatmaps_do_and_without_both_nothing(faces, tiny):
    by_heatmap = dataclasses.replace(faces, covariance_NK22=None)
    summary = summarise_selection(by_heatmap, sizes(faces, tiny))
    assert summary.by == "scatter"
    assert summary.ause > 0.5  # the scatter runs the wrong way here
    unsure, _ = face_uncertainty(by_heatmap, sizes(faces, tiny))
    # px of the input grid over the scale are px of the image; these over the size.
    np.testing.assert_allclose(unsure, faces.scatter_NK[:, 0] / 0.5 / sizes(faces, tiny))
    assert summarise_selection(dataclasses.replace(by_heatmap, scatter_NK=None), sizes(faces, tiny)) is None


def test_where_no_face_fails_there_is_none_to_find(tiny, predict):
    good = predict(tiny, noise=0.1, covariance=1.0)
    assert set(summarise_selection(good, sizes(good, tiny)).found.values()) == {None}
    nowhere = summarise_selection(good, np.full(len(good), np.nan))
    assert (nowhere.aurc, nowhere.ause, nowhere.risk["50"]) == (None, None, None)
