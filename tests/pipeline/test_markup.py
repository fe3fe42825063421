"""The packaged markup against its published geometry, and every way a markup's YAML can be wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.markup import Curve, Markup, load_markup, markup_from, packaged_names


@pytest.fixture(scope="module")
def ibug() -> Markup:
    return load_markup("ibug68")


def face() -> np.ndarray:
    """(68, 2) a symmetric face around x = 0, drawn by hand after the figure of 300-W; y points down."""
    jaw = [(-10 + 1.25 * i, 10 - 0.15 * (i - 8) ** 2) for i in range(17)]
    brow = [(-8.0, -6.0), (-7.0, -7.0), (-5.5, -7.5), (-4.0, -7.2), (-2.0, -6.5)]
    bridge = [(0.0, -4.0), (0.0, -2.5), (0.0, -1.0), (0.0, 0.5)]
    base = [(-2.0, 2.0), (-1.0, 2.3), (0.0, 2.5), (1.0, 2.3), (2.0, 2.0)]
    eye = [(-6.5, -4.0), (-5.5, -4.8), (-4.0, -4.8), (-3.0, -4.0), (-4.0, -3.4), (-5.5, -3.4)]
    # Clockwise on the image from the left corner: the right eye starts at its inner corner.
    other_eye = [(-x, y) for x, y in [eye[3], eye[2], eye[1], eye[0], eye[5], eye[4]]]
    outer = [(-4.0, 5.0), (-2.5, 4.0), (-1.0, 3.6), (0.0, 3.8), (1.0, 3.6), (2.5, 4.0), (4.0, 5.0)]
    outer += [(2.5, 6.5), (1.0, 7.0), (0.0, 7.1), (-1.0, 7.0), (-2.5, 6.5)]
    inner = [
        (-3.4, 5.0),
        (-1.2, 4.7),
        (0.0, 4.8),
        (1.2, 4.7),
        (3.4, 5.0),
        (1.2, 5.6),
        (0.0, 5.7),
        (-1.2, 5.6),
    ]
    other_brow = [(-x, y) for x, y in brow[::-1]]
    return np.array([*jaw, *brow, *other_brow, *bridge, *base, *eye, *other_eye, *outer, *inner])


def test_a_mirrored_symmetric_face_is_itself(ibug):
    points = face()
    assert points.shape == (68, 2)
    np.testing.assert_allclose((points * (-1, 1))[ibug.flip_permutation], points)


def test_mirroring_twice_changes_nothing(ibug):
    permutation = ibug.flip_permutation
    assert permutation.dtype == np.int64
    np.testing.assert_array_equal(permutation[permutation], np.arange(68))
    points = np.random.default_rng(0).normal(size=(68, 2))
    mirrored = (points * (-1, 1))[permutation]
    np.testing.assert_array_equal((mirrored * (-1, 1))[permutation], points)


def test_only_landmarks_on_the_midline_stay(ibug):
    still = np.flatnonzero(ibug.flip_permutation == np.arange(68))
    # Chin, bridge of the nose, its base, and the middles of the lips.
    assert still.tolist() == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]
    np.testing.assert_array_equal(face()[still, 0], 0.0)


def test_mirroring_maps_contours_onto_contours(ibug):
    def edges(curves) -> set[frozenset[int]]:
        return {frozenset(pair) for curve in curves for pair in curve.segments}

    flip = ibug.flip_permutation
    mirrored = {frozenset(int(flip[i]) for i in pair) for pair in edges(ibug.curves)}
    assert mirrored == edges(ibug.curves)


def test_every_landmark_lies_on_one_contour(ibug):
    assert sorted(i for curve in ibug.curves for i in curve.indices) == list(range(68))
    # 16 of the jaw, 4 + 4 of the brows, 3 + 4 of the nose; 6 + 6 of the eyes, 12 + 8 of the lips, which are closed.
    assert sum(len(curve.segments) for curve in ibug.curves) == 16 + 8 + 7 + 12 + 20


def test_segments_of_open_and_closed_curves():
    assert Curve("jaw", (3, 5, 4)).segments == ((3, 5), (5, 4))
    assert Curve("eye", (3, 5, 4), closed=True).segments == ((3, 5), (5, 4), (4, 3))


def test_eyes_and_five_points_are_where_they_are_on_a_face(ibug):
    points = face()
    left, right = ibug.ocular
    np.testing.assert_array_equal(points[left], (-6.5, -4.0))  # outer corners: 13 px apart, not the inner 6
    np.testing.assert_array_equal(points[right], (6.5, -4.0))
    # Mean of an eye, by hand: x (6.5 + 5.5 + 4 + 3 + 4 + 5.5)/6, y (4 + 4.8 + 4.8 + 4 + 3.4 + 3.4)/6.
    eye = (28.5 / 6, -24.4 / 6)
    np.testing.assert_allclose(points[list(ibug.pupils[0])].mean(axis=0), (-eye[0], eye[1]))
    np.testing.assert_allclose(points[list(ibug.pupils[1])].mean(axis=0), eye)
    expected = [(-eye[0], eye[1]), eye, (0.0, 0.5), (-4.0, 5.0), (4.0, 5.0)]
    np.testing.assert_allclose(ibug.five_from(points), expected)


def test_five_points_of_an_unknown_landmark_are_unknown(ibug):
    points = face()
    points[37] = np.nan
    assert np.isnan(ibug.five_from(points)).tolist() == [[True, True]] + [[False, False]] * 4


GOOD = """
name: mine
num_landmarks: 4
curves:
  mouth: {indices: [0, 1, 2], closed: true}
flip_pairs: [[0, 1]]
"""


def yaml_at(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_markup_of_ones_own(tmp_path):
    markup = load_markup(yaml_at(tmp_path, GOOD))
    assert markup == Markup("mine", 4, (Curve("mouth", (0, 1, 2), True),), ((0, 1),))
    assert markup.flip_permutation.tolist() == [1, 0, 2, 3]
    with pytest.raises(ConfigError, match=r"markup 'mine' has no 'five_points': add them to its YAML"):
        markup.five_from(np.zeros((4, 2)))


def test_flip_pairs_may_be_unknown(tmp_path):
    markup = load_markup(yaml_at(tmp_path, GOOD.replace("flip_pairs: [[0, 1]]", "")))
    assert markup.flip_pairs is None
    assert markup_from(json.loads(json.dumps(markup.definition)), "memory") == markup
    with pytest.raises(ConfigError, match=r"'mine' has no 'flip_pairs'.*add them to its YAML"):
        _ = markup.flip_permutation
    none = load_markup(yaml_at(tmp_path / "none", GOOD.replace("[[0, 1]]", "[]")))
    assert none.flip_pairs == ()
    assert none.flip_permutation.tolist() == [0, 1, 2, 3]
    assert markup_from(json.loads(json.dumps(none.definition)), "memory") == none


def test_names_and_mappings(tmp_path):
    text = GOOD + "names: [a, b, c, d]\nmappings:\n  mtfl5: [0, [1, 2], null, 3, 0]\n"
    markup = load_markup(yaml_at(tmp_path, text))
    assert markup.names == ("a", "b", "c", "d")
    assert markup.mappings == (("mtfl5", ((0,), (1, 2), (), (3,), (0,))),)
    assert hash(markup) == hash(load_markup(yaml_at(tmp_path, text)))


WRONG = {
    "too few names": (GOOD + "names: [a, b]\n", "field 'names': 2 names for 4 landmarks"),
    "a name twice": (GOOD + "names: [a, b, a, c]\n", "field 'names': two landmarks are called 'a'"),
    "a number as name": (GOOD + "names: [a, b, 1, c]\n", "field 'names': 1 is no name; write it in quotes"),
    "mapping outside": (GOOD + "mappings: {mtfl5: [0, 1, [2, 4], 3, 0]}\n", r"field 'mappings.mtfl5': landmarks \[4\]"),
    "mapping of words": (GOOD + "mappings: {mtfl5: [eye]}\n", "field 'mappings.mtfl5': 'eye' is no landmark"),
    "mappings as list": (GOOD + "mappings: [0]\n", "field 'mappings': a mapping from names"),
    "unknown field": (GOOD + "flip_pars: []\n", "unknown field 'flip_pars'; known fields are curves, "),
    "unknown field of a curve": (GOOD.replace("closed", "close"), "curve 'mouth': unknown field 'close'"),
    "no name": (GOOD.replace("name: mine", ""), "field 'name' is missing"),
    "no number": (GOOD.replace("4", "four"), "ValueError: .*'four'"),
    "outside a curve": (GOOD.replace("1, 2]", "1, 4]"), r"field 'curves.mouth': landmarks \[4\] are outside 0…3"),
    "counted from 1": (GOOD.replace("[[0, 1]]", "[[4, 1]]"), r"field 'flip_pairs': landmarks \[4\] are outside"),
    "negative": (GOOD + "ocular: [-1, 0]\n", r"field 'ocular': landmarks \[-1\] are outside 0…3"),
    "two pairs": (GOOD.replace("[[0, 1]]", "[[0, 1], [1, 2]]"), "field 'flip_pairs': a landmark appears in two"),
    "pair with itself": (GOOD.replace("[[0, 1]]", "[[1, 1]]"), "field 'flip_pairs': a landmark appears in two"),
    "list of partners": (GOOD.replace("[[0, 1]]", "[1, 0, 2, 3]"), r"is a list of indices, expected pairs .* means \[\[0, 1\]\]"),
    "three in a pair": (GOOD.replace("[[0, 1]]", "[[0, 1, 2]]"), "field 'flip_pairs' is no list of pairs"),
    "fraction": (GOOD.replace("[0, 1, 2]", "[0, 1.5, 2]"), "field 'curves.mouth': 1.5 is no landmark number"),
    "word": (GOOD.replace("[0, 1, 2]", "[0, one, 2]"), "field 'curves.mouth': 'one' is no landmark number"),
    "one ocular": (GOOD + "ocular: [0]\n", "field 'ocular': 1 entries, expected 2"),
    "three pupils": (GOOD + "pupils: [[0], [1], [2]]\n", "field 'pupils': 3 entries, expected 2"),
    "four five-points": (GOOD + "five_points: [[0], [1], [2], [3]]\n", "field 'five_points': 4 entries, expected 5"),
    "empty five-point": (GOOD + "five_points: [[0], [1], [2], [3], []]\n", "field 'five_points': an entry names no"),
    "no landmarks": ("name: x\nnum_landmarks: 0\nflip_pairs: []\n", "field 'num_landmarks': 0"),
    "a list": ("- 1\n- 2\n", "not a markup: a mapping of fields is expected, this is a list"),
    "empty": ("", "not a markup: a mapping of fields is expected"),
    "no YAML": ("name: [1,\n", "not a markup: while parsing[^§]*line 2"),
    "too deep": ("[" * 20_000, "not a markup"),
    "no text": (None, "not a markup"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named(tmp_path, kind):
    text, message = WRONG[kind]
    path = yaml_at(tmp_path, text or "")
    if text is None:
        Path(path).write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match=message) as caught:
        load_markup(path)
    assert path in str(caught.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ConfigError, match=r"no markup 'ibug86': packaged ones are .*ibug68.*; or give the path"
    ):
        load_markup("ibug86")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere.yaml"):
        load_markup(str(tmp_path / "nowhere.yaml"))


@pytest.mark.parametrize("name", packaged_names())
def test_a_definition_reads_back_as_the_same_markup(name):
    markup = load_markup(name)
    assert markup_from(json.loads(json.dumps(markup.definition)), "memory") == markup


def test_neighbours_of_open_closed_shared_and_lone_landmarks():
    curves = (Curve("open", (0, 1, 2)), Curve("eye", (3, 4, 5, 6), closed=True), Curve("shares", (2, 7)))
    assert Markup("m", 9, curves, ()).neighbours.tolist() == [
        [-1, 1], [0, 2], [1, -1], [6, 4], [3, 5], [4, 6], [5, 3], [2, -1], [-1, -1],
    ]  # fmt: skip


def test_neighbours_agree_with_the_curves_of_a_packaged_markup():
    markup = load_markup("ibug68")
    for curve in markup.curves:
        for first, second in curve.segments:
            assert markup.neighbours[first, 1] == second
            assert markup.neighbours[second, 0] == first
    on_curves = {index for curve in markup.curves for index in curve.indices}
    off = [index for index in range(markup.num_landmarks) if index not in on_curves]
    assert (markup.neighbours[off] == -1).all()
