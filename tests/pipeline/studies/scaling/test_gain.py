"""Tests over trainings: against scipy, by hand, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pipeline.studies.scaling.cells import Cell, Study
from pipeline.studies.scaling.gain import compare, detectable, face_view, holm, pooled


def errors_to_study(result, errors):
    """(counts, seeds) errors, % → a study of one group; row 0 is supervised."""
    runs = [
        result(Cell(100, 1000 * i, "a", None, s), e)
        for i, row in enumerate(errors)
        for s, e in enumerate(row)
    ]
    return Study(tuple(runs), "p", "m")


def test_a_single_comparison_is_the_paired_t_test(result):
    supervised, semi = [7.1, 7.4, 6.9, 7.3], [6.8, 7.2, 6.9, 6.8]
    (one,) = compare(errors_to_study(result, [supervised, semi]))
    reference = stats.ttest_rel(supervised, semi)
    interval = reference.confidence_interval(0.95)
    assert one.p == pytest.approx(reference.pvalue, rel=1e-9)
    assert one.corrected_p == one.p
    assert one.interval == pytest.approx((interval.low, interval.high))
    assert one.freedom == 3
    assert one.relative == pytest.approx(100 * one.gain / np.mean(supervised))
    assert one.time == pytest.approx(3.4)


def test_pooling_by_hand():
    # Squares 2 and 8 about their means over 2 + 2 degrees; two comparisons share a run: 4 / 1.25.
    deviation, freedom = pooled([np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 4.0])])
    assert deviation == pytest.approx(np.sqrt(10 / 4))
    assert freedom == pytest.approx(3.2)
    assert pooled([np.array([1.0])]) == (None, 0.0)
    assert pooled([np.array([1.0, 1.0])]) == (None, 0.0)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_one_seed_is_not_tested(result):
    (one,) = compare(errors_to_study(result, [[7.0], [5.0]]))
    assert one.verdict == "not tested"
    assert (one.p, one.interval, one.detectable) == (None, None, None)
    assert one.gain == pytest.approx(2.0)


def test_copies_of_one_run_are_not_trainings(result):
    nme = result(Cell(100, 0, "a", None, 0), 7.0).nme_N
    cells = [Cell(100, count, "a", None, seed) for count in (0, 1000) for seed in (0, 1)]
    runs = [result(cell, 7.0, nme_N=nme * (0.5 if cell.unlabelled else 1.0)) for cell in cells]
    (one,) = compare(Study(tuple(runs), "p", "m"))
    assert (one.verdict, one.p) == ("not tested", None)


def test_only_seeds_with_both_runs_are_paired(result):
    study = errors_to_study(result, [[7.0, 7.2, 7.1], [6.0, 6.3, 6.0]])
    kept = tuple(r for r in study.results if (r.cell.unlabelled, r.cell.seed) != (0, 1))
    (one,) = compare(Study(kept, "p", "m"))
    assert one.seeds == (0, 2)
    assert one.supervised == pytest.approx(7.05)


def test_harm_is_harm(result):
    (one,) = compare(errors_to_study(result, [[5.0, 5.1, 5.05], [6.0, 6.12, 6.03]]))
    assert one.verdict == "harm"
    assert one.gain < 0


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_false_positives_and_coverage_of_the_pooled_test(ratio):
    """No true gain, three seeds, three numbers of faces; supervised runs scatter ``ratio`` times as much."""
    rng = np.random.default_rng(5)
    found, repeats, seeds = 0, 4000, 3
    for _ in range(repeats):
        supervised = ratio * rng.normal(size=seeds)
        gains = [supervised - rng.normal(size=seeds) for _ in range(3)]
        deviation, freedom = pooled(gains)
        half = stats.t.isf(0.025, freedom) * deviation / np.sqrt(seeds)
        found += abs(gains[0].mean()) > half
    # Binomial error 0.35 points: neither liberal beyond 7 % nor uselessly strict.
    assert 0.03 < found / repeats < 0.07


def test_pooling_ignores_groups_of_other_scatter(result, study):
    def error(cell):
        return 6.0 + (5.0 if cell.labelled == 157 else 0.0)

    quiet = compare(study(error, labelled=(1808,)))
    both = compare(study(error, labelled=(1808, 157), noise=0.1))
    assert {c.deviation for c in both if c.group.labelled == 1808} == {quiet[0].deviation}


def test_detectable_has_the_power_it_claims():
    error, freedom, tests = 0.2, 6.0, 3
    effect = detectable(error, freedom, tests)
    critical = stats.t.isf(0.05 / tests / 2, freedom)
    assert stats.nct.sf(critical, freedom, effect / error) == pytest.approx(0.8, abs=2e-3)
    # At a single degree of freedom, by simulation.
    rng = np.random.default_rng(0)
    t = (rng.normal(size=200_000) + detectable(1.0, 1.0)) / np.abs(rng.normal(size=200_000))
    assert (t > stats.t.isf(0.025, 1)).mean() == pytest.approx(0.8, abs=5e-3)


def test_the_face_view_is_wilcoxon_on_seed_means():
    rng = np.random.default_rng(1)
    supervised, semi = rng.normal(6, 1, (3, 40)), rng.normal(5.8, 1, (3, 40))
    view = face_view(supervised, semi)
    falls = supervised.mean(0) - semi.mean(0)
    assert view.p == pytest.approx(stats.wilcoxon(falls).pvalue)
    assert view.improved == pytest.approx(100 * (falls > 0).mean())
    same = face_view(supervised, supervised)
    assert (same.p, same.improved) == (None, 50.0)
