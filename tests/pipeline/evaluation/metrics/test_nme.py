"""NME against cases worked out by hand, and its invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.metrics.nme import NORMALISATIONS, face_size, mean_nme, nme_per_face, point_errors
from pipeline.markup import Markup, load_markup

IBUG = load_markup("ibug68")


def nme(predicted, target, mask, normalisation, markup):
    return nme_per_face(point_errors(predicted, target, mask), face_size(target, mask, normalisation, markup))


@pytest.mark.parametrize(
    ("normalisation", "size"),
    [("ocular", 100.0), ("pupil", 70.0), ("box", 100.0), ("diagonal", 100 * math.sqrt(2))],
)
def test_a_3_4_5_offset_is_5_px_over_the_size(normalisation, size, tiny, tiny_face):
    target = tiny_face[None]
    mask = np.ones((1, 6), dtype=bool)
    assert face_size(target, mask, normalisation, tiny) == pytest.approx([size])
    assert nme(target + np.array([3.0, 4.0]), target, mask, normalisation, tiny) == pytest.approx(
        [5.0 / size]
    )


def test_box_is_the_geometric_mean_not_the_longer_side(tiny, tiny_face):
    target = tiny_face[None] * [1.0, 0.25]  # 100 × 25: sqrt(2500) = 50, diagonal sqrt(10625)
    mask = np.ones((1, 6), dtype=bool)
    assert face_size(target, mask, "box", tiny) == pytest.approx([50.0])
    assert face_size(target, mask, "diagonal", tiny) == pytest.approx([math.sqrt(10625)])


def test_mean_is_over_counted_landmarks_only(tiny, tiny_face):
    target = tiny_face[None].repeat(2, axis=0)
    predicted = target.copy()
    predicted[0, 4] += [0.0, 12.0]
    predicted[0, 5] += [1000.0, 0.0]
    mask = np.ones((2, 6), dtype=bool)
    mask[0, 5] = False
    values = nme(predicted, target, mask, "ocular", tiny)
    assert values == pytest.approx([12.0 / 5 / 100, 0.0])
    # What is masked is never read: NaN there changes nothing.
    target[0, 5] = predicted[0, 5] = np.nan
    assert nme(predicted, target, mask, "ocular", tiny) == pytest.approx(values)
    assert np.isfinite(face_size(target, mask, "box", tiny)).all()


def test_masked_landmarks_do_not_stretch_the_box(tiny, tiny_face):
    mask = np.ones((1, 6), dtype=bool)
    mask[0, 5] = False  # the chin: the box is 100 × 60 without it
    assert face_size(tiny_face[None], mask, "box", tiny) == pytest.approx([math.sqrt(6000)])


@pytest.mark.parametrize("normalisation", ["ocular", "pupil"])
def test_a_masked_eye_corner_leaves_the_face_undefined(normalisation, tiny, tiny_face):
    mask = np.ones((2, 6), dtype=bool)
    mask[0, 0] = False
    target = tiny_face[None].repeat(2, axis=0)
    values = nme(target + 1.0, target, mask, normalisation, tiny)
    assert np.isnan(values).tolist() == [True, False]
    assert mean_nme(values) == pytest.approx(values[1])


def test_degenerate_faces_are_nan_not_infinite(tiny):
    target = np.full((1, 6, 2), 7.0)
    mask = np.ones((1, 6), dtype=bool)
    for normalisation in NORMALISATIONS:
        assert np.isnan(nme(target + 1, target, mask, normalisation, tiny)).all()
    collinear = np.stack([np.arange(6.0), np.zeros(6)], axis=-1)[None]
    assert np.isnan(face_size(collinear, mask, "box", tiny)).all()
    assert face_size(collinear, mask, "diagonal", tiny) == pytest.approx([5.0])


def test_no_counted_landmark_is_nan(tiny, tiny_face):
    mask = np.zeros((1, 6), dtype=bool)
    for normalisation in NORMALISATIONS:
        assert np.isnan(nme(tiny_face[None], tiny_face[None], mask, normalisation, tiny)).all()
    assert math.isnan(mean_nme(np.array([np.nan])))


def test_a_markup_without_eyes_has_no_eye_normalisation(tiny_face):
    blind = Markup("blind", 6, (), ())
    mask = np.ones((1, 6), dtype=bool)
    assert np.isnan(face_size(tiny_face[None], mask, "ocular", blind)).all()
    assert np.isnan(face_size(tiny_face[None], mask, "pupil", blind)).all()
    assert face_size(tiny_face[None], mask, "box", blind) == pytest.approx([100.0])


def test_a_prediction_that_is_not_finite_is_an_infinite_error(tiny, tiny_face):
    predicted = tiny_face[None].copy()
    predicted[0, 2, 0] = np.nan
    mask = np.ones((1, 6), dtype=bool)
    assert nme(predicted, tiny_face[None], mask, "ocular", tiny)[0] == np.inf


def test_bad_input_is_refused(tiny, tiny_face):
    mask = np.ones((1, 6), dtype=bool)
    with pytest.raises(ValueError, match=r"\(1, 6, 2\)"):
        point_errors(tiny_face[None], tiny_face[None], mask[:, :5])
    broken = tiny_face[None].copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="mask it out"):
        point_errors(tiny_face[None], broken, mask)
    with pytest.raises(ValueError, match="interocular"):
        face_size(tiny_face[None], mask, "interocular", tiny)


def reference_nme(predicted, target, mask, normalisation, markup):
    """Equation 8 with plain loops, for one face."""
    shown = [k for k in range(markup.num_landmarks) if mask[k]]
    total = sum(math.dist(predicted[k], target[k]) for k in shown)
    if normalisation == "ocular":
        size = math.dist(target[36], target[45])
    elif normalisation == "pupil":
        left = [sum(target[k][axis] for k in range(36, 42)) / 6 for axis in (0, 1)]
        right = [sum(target[k][axis] for k in range(42, 48)) / 6 for axis in (0, 1)]
        size = math.dist(left, right)
    else:
        width = max(target[k][0] for k in shown) - min(target[k][0] for k in shown)
        height = max(target[k][1] for k in shown) - min(target[k][1] for k in shown)
        size = math.sqrt(width * height) if normalisation == "box" else math.hypot(width, height)
    return total / len(shown) / size


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_68_landmarks_agree_with_plain_loops(normalisation):
    rng = np.random.default_rng(3)
    target = rng.uniform(0, 200, (20, 68, 2))
    predicted = target + rng.normal(0, 4, target.shape)
    mask = rng.random((20, 68)) > 0.2
    mask[:, 36:48] = True
    expected = [reference_nme(predicted[i], target[i], mask[i], normalisation, IBUG) for i in range(20)]
    assert nme(predicted, target, mask, normalisation, IBUG) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    scale=st.floats(1e-2, 1e3),
    shift=st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)),
    normalisation=st.sampled_from(NORMALISATIONS),
)
def test_scaling_and_moving_the_image_changes_nothing(seed, scale, shift, normalisation):
    rng = np.random.default_rng(seed)
    target = rng.uniform(0, 100, (5, 68, 2))
    predicted = target + rng.normal(0, 5, target.shape)
    mask = rng.random((5, 68)) > 0.1
    before = nme(predicted, target, mask, normalisation, IBUG)
    after = nme(predicted * scale + shift, target * scale + shift, mask, normalisation, IBUG)
    np.testing.assert_allclose(after, before, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), normalisation=st.sampled_from(NORMALISATIONS))
def test_order_of_faces_and_a_mirror_change_nothing(seed, normalisation):
    rng = np.random.default_rng(seed)
    target = rng.uniform(0, 100, (7, 68, 2))
    predicted = target + rng.normal(0, 5, target.shape)
    mask = rng.random((7, 68)) > 0.1
    before = nme(predicted, target, mask, normalisation, IBUG)
    order = rng.permutation(7)
    np.testing.assert_allclose(
        nme(predicted[order], target[order], mask[order], normalisation, IBUG), before[order], rtol=1e-12
    )
    flip = IBUG.flip_permutation
    mirrored = [a[:, flip] * [-1, 1] for a in (predicted, target)]
    np.testing.assert_allclose(nme(*mirrored, mask[:, flip], normalisation, IBUG), before, rtol=1e-12)
