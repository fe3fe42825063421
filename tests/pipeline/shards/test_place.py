"""Which face is meant, and its square."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.datasets.face import Annotation
from pipeline.faces.crop import Crop
from pipeline.markup import Markup, load_markup
from pipeline.shards.manifest import CropPolicy
from pipeline.shards.place import place_box, place_image, place_labelled, place_unlabelled

MARKUP = Markup("five", 5, (), ((0, 1), (3, 4)), five_points=((0,), (1,), (2,), (3,), (4,)))
FIVE = np.array([[40.0, 40], [80, 40], [60, 60], [45, 80], [75, 80]])
DETECTOR = CropPolicy(points="detector", side_factor=3.0, size=80, jpeg_quality=95)
LANDMARKS = DETECTOR.model_copy(update={"points": "landmarks"})


def face(five):
    return SimpleNamespace(five_52=np.asarray(five))


def annotation(points=FIVE):
    return Annotation(np.array(points), np.ones(5, dtype=bool))


def test_square_follows_the_detected_points():
    placed = place_unlabelled(face(FIVE), DETECTOR)
    assert placed.crop.side == 120  # 3 × 40
    assert (placed.crop.left, placed.crop.top) == (0.5, 0.5)  # centre of the points is pixel (60, 60)
    assert placed.five_source == "detector"


def test_among_several_faces_the_labelled_one_is_taken_not_the_largest():
    big = face((FIVE - 60) * 3 + 200)
    near = face(FIVE + 2)
    placed = place_labelled([big, near], annotation(), MARKUP, DETECTOR, fall_back=True)
    np.testing.assert_array_equal(placed.five_52, FIVE + 2)
    assert placed.five_source == "detector"


@pytest.mark.parametrize(("offset", "source"), [(19.0, "detector"), (21.0, "landmarks")])
def test_a_detection_half_a_face_away_is_another_face(offset, source):
    placed = place_labelled([face(np.add(FIVE, (offset, 0)))], annotation(), MARKUP, DETECTOR, fall_back=True)
    assert placed.five_source == source


def test_no_detection():
    placed = place_labelled([], annotation(), MARKUP, DETECTOR, fall_back=True)
    np.testing.assert_array_equal(placed.five_52, FIVE)
    assert place_labelled([], annotation(), MARKUP, DETECTOR, fall_back=False) is None


def test_placed_by_landmarks_whatever_is_detected():
    placed = place_labelled([face(FIVE + 1)], annotation(), MARKUP, LANDMARKS, fall_back=False)
    assert placed.five_source == "landmarks"


def test_unknown_landmarks():
    points = FIVE.copy()
    points[3] = np.nan
    near = place_labelled([face(FIVE + 1)], annotation(points), MARKUP, DETECTOR, fall_back=True)
    assert near.five_source == "detector"
    # Without a detection: a hidden mouth corner lies at the other one, as in profile.
    placed = place_labelled([], annotation(points), MARKUP, DETECTOR, fall_back=True)
    np.testing.assert_allclose(placed.five_52, [*FIVE[:3], FIVE[4], FIVE[4]], atol=1e-4)
    assert placed.five_source == "landmarks"
    assert place_labelled([], annotation(points), MARKUP, DETECTOR, fall_back=False) is None
    points[4] = np.nan  # nobody knows where the mouth is
    assert place_labelled([], annotation(points), MARKUP, DETECTOR, fall_back=True) is None


def test_five_points_of_a_profile():
    """Of 300-W's markup: half an eye is known, the other eye and one mouth corner are not, the nose tip is not."""
    ibug = load_markup("ibug68")
    points = np.random.default_rng(0).uniform(20, 60, (68, 2)).round(4)
    points[[39, 40, 41, *range(42, 48), 54, 30]] = np.nan
    placed = place_labelled([], Annotation(points, np.ones(68, bool)), ibug, LANDMARKS, fall_back=False)
    eye, mouth = points[36:39].mean(axis=0), points[48]
    expected = [eye, eye, (eye + mouth) / 2, mouth, mouth]
    np.testing.assert_allclose(placed.five_52, expected, atol=1e-4)
    # All the same, a square of three times the longer side around them.
    assert placed.crop.side == pytest.approx(3 * np.ptp(expected, axis=0).max(), abs=1e-3)


def test_without_five_points_the_square_is_around_all_landmarks_that_are_known():
    points = np.array([[10.0, 20], [50, 30], [30, 60], [np.nan, np.nan], [200, 200]])
    points[4] = np.nan
    hand = Markup("hand", 5, ())
    wide = LANDMARKS.model_copy(update={"side_factor": 1.5})
    placed = place_labelled([], annotation(points), hand, wide, fall_back=False)
    assert (placed.crop.side, placed.five_52, placed.five_source) == (60.0, None, "landmarks")  # 1.5 × 40
    assert (placed.crop.left, placed.crop.top) == (0.5, 10.5)  # centred on pixel (30, 40)
    one = np.full((5, 2), np.nan)
    one[0] = 7.0
    assert place_labelled([], annotation(one), hand, wide, fall_back=True) is None
    assert place_labelled([], annotation(one * np.nan), hand, wide, fall_back=True) is None


def test_around_a_box_and_a_whole_image():
    policy = CropPolicy(points="box", side_factor=1.25, size=64, jpeg_quality=95)
    boxed = Annotation(FIVE, np.ones(5, dtype=bool), (10.0, 20.0, 50.0, 100.0))
    placed = place_box(boxed, policy)
    assert (placed.crop, placed.five_52, placed.five_source) == (Crop(-19.5, 10.5, 100.0, 64), None, "box")
    assert place_box(annotation(), policy) is None
    whole = place_image(140, 120, policy.model_copy(update={"points": "image", "side_factor": 1.0}))
    assert (whole.crop, whole.five_52, whole.five_source) == (Crop(0.0, -10.0, 140.0, 64), None, "image")


def test_points_without_area():
    assert place_unlabelled(face(np.ones((5, 2))), DETECTOR) is None


def test_json_and_pixels_agree_exactly():
    placed = place_unlabelled(face(FIVE / 3), DETECTOR)
    for value in (placed.crop.left, placed.crop.top, placed.crop.side, *placed.five_52.ravel()):
        assert value == round(value, 4)
