"""300-VW: extracted frames beside their annotations."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.w300vw import CATEGORIES, W300VW
from pipeline.errors import DataError


@pytest.fixture
def root(tmp_path):
    for video in ("001", "114"):
        for folder in ("annot", "frames"):
            (tmp_path / video / folder).mkdir(parents=True)
        (tmp_path / video / "vid.avi").touch()
        for frame in range(1, 6):
            points = "\n".join(f"{i + frame} {i + 1}" for i in range(68))
            content = f"version: 1\nn_points: 68\n{{\n{points}\n}}\n"
            (tmp_path / video / "annot" / f"{frame:06d}.pts").write_text(content)
            Image.new("RGB", (80, 80)).save(tmp_path / video / "frames" / f"{frame:06d}.png")
    return tmp_path


def test_frames_of_a_video(root):
    records = W300VW(str(root), videos=["114"], every=2).records()
    assert [record.name for record in records] == ["114/000001.png", "114/000003.png", "114/000005.png"]
    annotation = records[1].load().annotation
    np.testing.assert_array_equal(annotation.points_K2[:, 0], np.arange(68) + 2)
    assert annotation.attributes == {"video": "114", "frame": "000003"}


def test_training_videos_are_those_of_no_scenario(root):
    assert {record.name[:3] for record in W300VW(str(root), "train").records()} == {"001"}
    assert sorted(map(len, CATEGORIES.values())) == [14, 19, 31]
    assert len({video for videos in CATEGORIES.values() for video in videos}) == 64


def test_a_last_frame_without_annotation_is_left_out(root):
    Image.new("RGB", (80, 80)).save(root / "114" / "frames" / "000006.png")
    assert len(W300VW(str(root), videos=["114"]).records()) == 5


def test_video_that_was_not_extracted_says_how(root, sound):
    frames = root / "114" / "frames"
    (frames / "000004.png").unlink()
    with pytest.raises(DataError, match=r"000004\.pts: no image 000004\.jpg .*; extract its frames once"):
        sound(W300VW(str(root), videos=["114"]).records())
    frames.rename(root / "elsewhere")
    with pytest.raises(
        DataError, match=r"frames: no such folder; extract .*ffmpeg -i .*vid\.avi -start_number 1"
    ):
        sound(W300VW(str(root), videos=["114"]).records())


def test_frames_numbered_from_0_would_all_be_one_late(root, sound):
    Image.new("RGB", (80, 80)).save(root / "114" / "frames" / "000000.png")
    with pytest.raises(DataError, match=r"000000\.png: frames are numbered from 0, annotations from 1"):
        sound(W300VW(str(root), videos=["114"]).records())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give either 'subset' .* or 'videos'"),
        ({"subset": "test", "videos": ["114"]}, "give either 'subset'"),
        ({"subset": "S4"}, "field 'subset' is 'S4': give one of train, test, S1, S2, S3"),
        ({"subset": "S2"}, "203: no such video; unpack"),
        ({"videos": ["../114"]}, "no such video"),
        ({"videos": ["114"], "every": 0}, "field 'every' is 0"),
        ({"videos": ["114"], "frames": "../x"}, "field 'frames' is '../x'"),
    ],
)
def test_wrong_arguments(root, given, message):
    with pytest.raises(DataError, match=message):
        W300VW(str(root), **given)
