"""What is written is read back by the project's own readers, to the rounding; and nothing leaves the folder."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets._pts import read_pts
from pipeline.datasets.coco import CocoKeypoints
from pipeline.datasets.table import READER as Table
from pipeline.errors import ConfigError
from pipeline.inference.predictor import Predictor
from pipeline.inference.result import ImageResult
from pipeline.inference.writers import find_writer, format_of, formats
from pipeline.inference.writers.base import file_stem
from pipeline.markup import load_markup

IBUG = load_markup("ibug68")
SHAPE = np.random.default_rng(0).uniform(40, 160, (68, 2))


@pytest.fixture
def results(tmp_path, make_colour_model) -> list[ImageResult]:
    """Two images, one of two faces, one of none; landmarks are drawn, the rest is as a model says it."""
    image = np.random.default_rng(1).integers(0, 255, (180, 200, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(image).save(tmp_path / "photos" / "a.png")
    (face,) = Predictor(make_colour_model())(image, [(50, 40, 150, 160)])
    spread = np.tile([[[4.0, 1.0], [1.0, 2.0]]], (68, 1, 1))
    faces = [
        replace(
            face,
            points_K2=SHAPE + shift,
            covariance_K22=spread,
            confidence_K=np.full(68, 0.8),
            confidence=0.8,
        )
        for shift in (0.0, 7.1234567)
    ]
    return [
        ImageResult("photos/a.png", 200, 180, faces, image),
        ImageResult("photos/none.png", 200, 180, [], image, seconds=0.5),
    ]


def write(name: str, out, results) -> None:
    with find_writer(name)(str(out), IBUG) as writer:
        for result in results:
            writer.write(result)


def read_back(records) -> list[np.ndarray]:
    return [record.load().annotation.points_K2 for record in records]


def test_json_lines_hold_everything(results, tmp_path):
    write("jsonl", tmp_path / "a.jsonl", results)
    first, second = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert (first["image"], first["width"], first["height"], first["markup"]) == (
        "photos/a.png",
        200,
        180,
        "ibug68",
    )
    assert (second["faces"], second["seconds"]) == ([], 0.5)
    for face, shift in zip(first["faces"], (0.0, 7.1234567), strict=True):
        np.testing.assert_allclose(face["points"], SHAPE + shift, atol=5.1e-4)
        assert face["covariance"] == [[4.0, 1.0, 2.0]] * 68
        assert face["confidence"] == [0.8] * 68
        assert (face["face_confidence"], face["calibrated"], face["score"]) == (0.8, False, None)
        assert face["box"] == [50, 40, 150, 160]


def test_coco_is_read_by_the_reader_of_coco(results, tmp_path):
    write("coco", tmp_path / "a.json", results)
    faces = read_back(CocoKeypoints(str(tmp_path / "a.json"), str(tmp_path), "ibug68").records())
    np.testing.assert_allclose(
        sorted(f.sum() for f in faces), sorted((SHAPE + s).sum() for s in (0, 7.1234567)), atol=0.1
    )
    content = json.loads((tmp_path / "a.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["photos/a.png", "photos/none.png"]
    assert content["annotations"][0]["bbox"] == [50, 40, 100, 120]
    assert content["annotations"][1]["score"] == 0.8
    np.testing.assert_allclose(
        np.reshape(content["annotations"][0]["keypoints"], (68, 3))[:, :2], SHAPE, atol=5.1e-4
    )


def test_csv_is_read_by_the_reader_of_tables(results, tmp_path):
    write("csv", tmp_path / "a.csv", results)
    faces = read_back(Table(str(tmp_path / "a.csv"), str(tmp_path), "ibug68").records())
    assert len(faces) == 2
    np.testing.assert_allclose(min(faces, key=np.sum), SHAPE, atol=5.1e-4)
    with (tmp_path / "a.csv").open() as file:
        row = next(csv.DictReader(file))
    assert (row["attribute.confidence"], row["attribute.score"], row["width"]) == ("0.8", "", "200")


def test_pts_are_read_as_300_ws_are(results, tmp_path):
    write("pts", tmp_path / "out", results)
    assert sorted(p.name for p in (tmp_path / "out/photos").iterdir()) == ["a.pts", "a_1.pts"]
    np.testing.assert_allclose(read_pts(tmp_path / "out/photos/a.pts", 68), SHAPE, atol=5.1e-4)
    np.testing.assert_allclose(read_pts(tmp_path / "out/photos/a_1.pts", 68), SHAPE + 7.1234567, atol=5.1e-4)


def test_overlays_change_pixels_along_the_landmarks_alone(results, tmp_path):
    stored = replace(results[0], name="key", image_HW3=None, faces=results[0].faces[:1])
    write("overlays", tmp_path / "out", [*results, stored])
    assert not (tmp_path / "out/photos/none.jpg").exists()
    with Image.open(tmp_path / "out/photos/a.jpg") as drawn:
        assert drawn.size == (200, 180)
    with Image.open(tmp_path / "out/key.jpg") as drawn:
        assert drawn.size == (320, 320)
        # The landmarks are amber: more red than blue.
        at = np.round((results[0].faces[0].crop.to_crop(SHAPE) + 0.5) * 4 - 0.5).astype(int)
        inside = ((at >= 0) & (at < 320)).all(axis=1)
        seen = np.asarray(drawn)[at[inside, 1], at[inside, 0]].astype(int)
    assert np.median(seen[:, 0] - seen[:, 2]) > 80


def test_an_error_leaves_no_half_file(results, tmp_path):
    def broken() -> None:
        with find_writer("coco")(str(tmp_path / "a.json"), IBUG) as writer:
            writer.write(results[0])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        broken()
    assert [p.name for p in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a/b.jpg", "a/b"),
        ("/tmp/b.c.jpg", "tmp/b.c"),
        ("../../etc/x.png", "etc/x"),
        ("s3://bucket/a/x.png", "bucket/a/x"),
        ("dir/v.mp4#000012", "dir/v.mp4#000012"),
    ],
)
def test_names_stay_in_the_folder(name, stem):
    assert file_stem(name, 0) == stem
    assert file_stem(name, 2) == f"{stem}_2"


def test_formats():
    assert formats() == ["coco", "csv", "jsonl", "overlays", "pts"]
    assert [format_of(name) for name in ("a.csv", "b.JSON", "c.jsonl", "d")] == [
        "csv",
        "coco",
        "jsonl",
        "jsonl",
    ]
    with pytest.raises(ConfigError, match="did you mean 'coco'"):
        find_writer("coko")
