"""Errors are divided by the size of the face as its data set labels it, whatever markup they are measured in."""

from __future__ import annotations

import dataclasses

import numpy as np

from pipeline.evaluation.metrics.nme import NORMALISATIONS, face_size
from pipeline.evaluation.sizes import defines, face_sizes, own_sizes


def test_the_sets_own_sizes_come_first(tiny, predict):
    predictions = predict(tiny)
    for name in NORMALISATIONS:
        plain = face_size(predictions.target_NK2, predictions.mask_NK, name, tiny)
        np.testing.assert_array_equal(face_sizes(predictions, tiny, name), plain)
    own_N4 = own_sizes(2 * predictions.target_NK2, predictions.mask_NK, tiny)
    mapped = dataclasses.replace(predictions, sizes_N4=own_N4)
    twice = 2 * face_size(predictions.target_NK2, predictions.mask_NK, "diagonal", tiny)
    np.testing.assert_allclose(face_sizes(mapped, tiny, "diagonal"), twice)


def test_what_the_sets_markup_does_not_define_the_one_measured_in_may(tiny, predict):
    blind = dataclasses.replace(tiny, ocular=None)
    assert [defines(blind, name) for name in NORMALISATIONS] == [False, True, True, True]
    predictions = predict(tiny)
    own_N4 = own_sizes(predictions.target_NK2, predictions.mask_NK, blind)
    mapped = dataclasses.replace(predictions, sizes_N4=own_N4)
    assert np.isnan(face_sizes(mapped, blind, "ocular")).all()
    expected = face_size(predictions.target_NK2, predictions.mask_NK, "ocular", tiny)
    np.testing.assert_array_equal(face_sizes(mapped, tiny, "ocular"), expected)
    # A face of which the set's own size is unknown stays unknown.
    own_N4[3, 1] = np.nan
    assert np.flatnonzero(np.isnan(face_sizes(mapped, tiny, "pupil"))).tolist() == [3]
