"""The record of a model's uncertainty, on faces worked out by hand."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy import stats

from pipeline.errors import DataError
from pipeline.evaluation.metrics.uncertainty import chi_square_quantile
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import dump, evaluate, load, save
from pipeline.evaluation.uncertainty import spread_and_error, squared_distances, summarise_uncertainty

SIZES = np.array([100.0, 200.0])


@pytest.fixture
def stated(tiny_face) -> Predictions:
    """Two faces, the second at twice the size; errors (k, 0) px, σ = 2 px; a masked landmark on the second."""
    target = np.stack([tiny_face, 2 * tiny_face])
    error = np.stack([np.arange(6.0), np.zeros(6)], axis=-1)
    mask = np.ones((2, 6), dtype=bool)
    mask[1, 4] = False
    target[1, 4] = np.nan
    return Predictions(
        keys=np.array(["a", "b"]),
        points_NK2=np.nan_to_num(target) + error,
        target_NK2=target,
        mask_NK=mask,
        scale_N=np.ones(2),
        covariance_NK22=np.tile(4 * np.eye(2, dtype=np.float32), (2, 6, 1, 1)),
    )


def test_numbers_by_hand(stated):
    summary = summarise_uncertainty(stated, SIZES)
    assert summary is not None
    assert summary.spread_px == pytest.approx(2.0)
    assert summary.spread == pytest.approx(100 * (6 * 2 / 100 + 5 * 2 / 200) / 11)
    # Squared distances k²/4: 0 ¼ 1 2¼ 4 6¼ and, without the masked one, 0 ¼ 1 2¼ 6¼.
    assert np.nan_to_num(squared_distances(stated), nan=-1).tolist() == [
        [0, 0.25, 1, 2.25, 4, 6.25],
        [0, 0.25, 1, 2.25, -1, 6.25],
    ]
    assert summary.coverage == pytest.approx({"50": 100 * 6 / 11, "90": 100 * 9 / 11})
    assert chi_square_quantile(0.5) < 2.25
    assert summary.mahalanobis_squared == {"50": 1.0, "90": 6.25}
    assert (summary.landmarks, summary.singular) == (11, 0)
    # σ is 2 % of the first face and 1 % of the second.
    squared = (0.25 + 1 + 2.25 + 6.25) * 2 + 4
    first, second = 6 * 0.5 * math.log(2.0**4), 5 * 0.5 * math.log(1.0)
    expected = math.log(2 * math.pi) + (0.5 * squared + first + second) / 11
    assert summary.nll == pytest.approx(expected)


def test_points_are_over_the_faces_size(stated):
    (spread, error), (face_spread, nme) = spread_and_error(stated, SIZES)
    assert spread[0] == pytest.approx(np.full(6, 0.02))
    assert error[1, :4] == pytest.approx(np.arange(4) / 200)
    assert np.isnan([spread[1, 4], error[1, 4]]).all()
    assert face_spread == pytest.approx([0.02, 0.01])
    assert nme == pytest.approx([15 / 600, 11 / 1000])
    summary = summarise_uncertainty(stated, SIZES)
    seen = stated.mask_NK
    assert summary.by_landmark.pearson == pytest.approx(stats.pearsonr(spread[seen], error[seen]).statistic)
    assert summary.by_landmark.spearman == pytest.approx(stats.spearmanr(spread[seen], error[seen]).statistic)
    assert (summary.by_landmark.count, summary.by_face.count) == (11, 2)
    assert summary.by_face.pearson == pytest.approx(1.0)


def test_a_face_without_a_size_counts_where_none_is_needed(stated):
    summary = summarise_uncertainty(stated, np.array([100.0, np.nan]))
    assert summary.by_landmark.count == 6
    assert summary.by_landmark.pearson is None  # one face, one σ
    assert summary.spread == pytest.approx(2.0)
    assert summary.coverage["50"] == pytest.approx(100 * 6 / 11)
    first = math.log(2 * math.pi) + 0.5 * math.log(2.0**4) + 0.5 * 13.75 / 6
    assert summary.nll == pytest.approx(first)


def test_certainty_is_none_where_json_has_no_number(stated):
    certain = dataclasses.replace(stated, covariance_NK22=np.zeros((2, 6, 2, 2), dtype=np.float32))
    summary = summarise_uncertainty(certain, SIZES)
    assert summary.singular == 11
    assert summary.nll is None
    assert summary.mahalanobis_squared == {"50": None, "90": None}
    assert summary.coverage == pytest.approx({"50": 100 * 2 / 11, "90": 100 * 2 / 11})
    assert summary.spread_px == 0.0


def test_a_model_that_states_none(stated, tiny, protocol):
    plain = dataclasses.replace(stated, covariance_NK22=None)
    assert summarise_uncertainty(plain, SIZES) is None
    assert evaluate(plain, tiny, protocol, run="base").uncertainty is None
    for refuse in (lambda: spread_and_error(plain, SIZES), lambda: squared_distances(plain)):
        with pytest.raises(DataError, match="no covariance"):
            refuse()


def test_it_is_part_of_the_evaluation_and_older_files_lack_it(tmp_path, stated, tiny, protocol):
    result = evaluate(stated, tiny, protocol, run="base")
    assert result.uncertainty == summarise_uncertainty(stated, SIZES)
    save(result, str(tmp_path / "new.json"))
    assert load(str(tmp_path / "new.json")) == result
    raw = json.loads(dump(result))
    del raw["uncertainty"], raw["direction"]
    (tmp_path / "old.json").write_text(json.dumps(raw), encoding="utf-8")
    old = load(str(tmp_path / "old.json"))
    assert old.uncertainty is old.direction is None
    assert old.headline == result.headline
