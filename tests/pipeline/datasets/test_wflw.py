"""WFLW: lists as its authors write them, and every way a line can be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.wflw import SUBSETS, WFLW, parse_line
from pipeline.errors import DataError

POINTS = np.random.default_rng(0).uniform(0, 60, (98, 2)).round(6)
NAME = "39--Ice_Skating/39 Ice_546.jpg"
WHOLE = "list_98pt_rect_attr_train_test/list_98pt_rect_attr_{}.txt"


def line(points=POINTS, rest="10 11 50 52 1 0 0 1 0 1", name=NAME):
    return " ".join([*(f"{v:.6f}" for v in points.ravel()), *rest.split(), name])


@pytest.fixture
def root(tmp_path):
    image = tmp_path / "WFLW_images" / NAME
    image.parent.mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(image)
    for folder in ("list_98pt_rect_attr_train_test", "list_98pt_test"):
        (tmp_path / "WFLW_annotations" / folder).mkdir(parents=True)
    return tmp_path


def write(root, content, subset="test"):
    name = (
        WHOLE.format(subset)
        if "/" not in subset
        else f"list_98pt_test/list_98pt_{subset.replace('/', '_')}.txt"
    )
    (root / "WFLW_annotations" / name).write_text(content)
    return WFLW(str(root), subset)


def test_a_line_of_the_test_list(root):
    reader = write(root, line() + "\n")
    (record,) = reader.records()
    image = record.load()
    assert image.image_HW3.shape == (64, 64, 3)
    np.testing.assert_array_equal(image.annotation.points_K2, POINTS)
    assert image.annotation.visible_K.all()
    assert image.annotation.box == (10, 11, 50, 52)
    assert image.annotation.attributes == {
        "pose": 1,
        "expression": 0,
        "illumination": 0,
        "make_up": 1,
        "occlusion": 0,
        "blur": 1,
    }
    assert reader.markup.num_landmarks == 98


def test_two_faces_of_one_image_and_the_same_face_in_a_subset_list(root):
    other = line(POINTS + 3)
    both = write(root, f"{line()}\n{other}\n").records()
    (one,) = write(root, line(rest="") + "\n", "test/largepose").records()
    assert len({record.name for record in both}) == 2
    assert one.name in {record.name for record in both}
    assert one.annotation.box is None
    assert one.annotation.attributes == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"attr_test\.txt: no faces in it"),
        ("1 2 3\n", r"attr_test\.txt, line 1: 3 columns, expected 207 or 197"),
        (line().replace(f"{POINTS[1, 0]:.6f}", "left", 1), "line 1: column 3 is 'left', expected a number"),
        (line().replace(f"{POINTS[0, 1]:.6f}", "nan", 1), "line 1: column 2 is 'nan', not finite"),
        (line(rest="10 11 50 52 1 0 2 1 0 1"), r"line 1: columns 201 to 206 are \['1', '0', '2'"),
        (line(rest="10 11 9 52 1 0 0 1 0 1"), "line 1: the box is empty"),
        (f"{line()}\n{line()}\n", "is taken by .*rename or remove one"),
        (line(name="gone.jpg"), r"line 1: .*gone\.jpg: No such file.*; unpack WFLW_images"),
        (line(name="../out.jpg"), r"line 1: '\.\./out\.jpg' leads out of"),
    ],
)
def test_what_is_wrong_is_named(root, content, message, sound):
    with pytest.raises(DataError, match=message):
        sound(write(root, content).records())


def test_wrong_arguments(root):
    with pytest.raises(DataError, match="field 'subset' is 'pose': give one of train, test, test/largepose"):
        WFLW(str(root), "pose")
    with pytest.raises(DataError, match=r"attr_train\.txt: no such list; unpack"):
        WFLW(str(root), "train")
    with pytest.raises(DataError, match="no such folder; set 'root' to the one that holds WFLW_images and"):
        WFLW(str(root / "x"), "train")
    assert len(SUBSETS) == 8


@pytest.mark.real_data
def test_genuine_lists(real_data, tmp_path):
    lists = sorted((real_data / "formats" / "wflw").glob("list_*.txt"))
    if not lists:
        pytest.skip("no WFLW lists there")
    for path in lists:
        for text in path.read_text().splitlines():
            name, annotation = parse_line(text, tmp_path, path.name)
            assert name.endswith(".jpg")
            assert annotation.box is None
            np.testing.assert_array_equal(annotation.points_K2.ravel(), np.array(text.split()[:196], float))
            # Pupils lie in their eyes: between the corners.
            for pupil, corners in ((96, [60, 64]), (97, [68, 72])):
                low, high = np.sort(annotation.points_K2[corners, 0])
                assert low - 2 <= annotation.points_K2[pupil, 0] <= high + 2
