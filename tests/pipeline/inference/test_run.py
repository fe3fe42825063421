"""What cannot be read ends nothing, unless it is too much; results come in order, whatever they are of."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.faces.detect import DetectedFace
from pipeline.inference.predictor import Predictor
from pipeline.inference.result import ImageResult
from pipeline.inference.run import count, predict_all, predict_images, predict_shard, predict_video, write_all
from pipeline.inference.sources import find_sources
from pipeline.inference.writers import find_writer
from pipeline.shards.manifest import load_manifest
from pipeline.shards.prepare import Reject

FIVE = np.array([[22.0, 20.0], [42.0, 20.0], [32.0, 30.0], [25.0, 40.0], [39.0, 40.0]])


class LightDetector:
    """A face, always at the same place, in every image that is not dark."""

    def detect(self, images):
        face = DetectedFace((12.0, 5.0, 52.0, 55.0), 0.9, FIVE)
        return [[face] if image.mean() > 20 else [] for image in images]


@pytest.fixture
def predictor(make_colour_model) -> Predictor:
    return Predictor(make_colour_model(), detector=LightDetector())


@pytest.fixture
def photos(tmp_path, make_spots):
    """Forty images, over one batch; the 18th is none, the 19th is dark."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(40):
        image = make_spots(64, 64, np.array([[24.0, 22.0], [40.0, 22.0], [32.0, 20.0 + number / 2]]), 2.5)
        Image.fromarray(image if number != 19 else np.zeros_like(image)).save(folder / f"{number:02d}.png")
    (folder / "18.png").write_bytes(b"no image")
    return folder


def test_images_in_order_with_rejects_between(predictor, photos):
    results = list(predict_images(predictor, find_sources([str(photos)]).images))
    assert [result.name for result in results] == [f"photos/{number:02d}.png" for number in range(40)]
    assert [n for n, result in enumerate(results) if isinstance(result, Reject)] == [18]
    assert [
        n for n, result in enumerate(results) if isinstance(result, ImageResult) and not result.faces
    ] == [19]
    found = [r.faces[0].points_K2[2, 1] for r in results if isinstance(r, ImageResult) and r.faces]
    np.testing.assert_allclose(found, [20.0 + n / 2 for n in range(40) if n not in (18, 19)], atol=0.5)


def write(results, out, markup, total, share):
    seen = []
    outcome = write_all(
        results, find_writer("jsonl"), str(out), markup, total, share, lambda n, _: seen.append(n)
    )
    assert sum(seen) == total
    return outcome


def test_rejects_are_listed_and_end_the_run_over_a_rate(predictor, photos, tmp_path):
    sources = find_sources([str(photos)])
    assert count(sources) == 40
    out = tmp_path / "a.jsonl"
    outcome = write(predict_all(predictor, sources, iter, None), out, predictor.markup, 40, 0.025)
    assert str(outcome) == f"38 faces, 1 image without a face, 1 image not readable ({out}.rejected.jsonl)"
    assert len(out.read_text().splitlines()) == 39
    listed = json.loads((tmp_path / "a.jsonl.rejected.jsonl").read_text())
    assert (listed["name"], listed["reason"]) == ("photos/18.png", "unreadable")
    with pytest.raises(
        DataError, match=r"1 of 40 images cannot be read, over --max-reject-share 0.02.*\n.*18.png"
    ):
        write(predict_all(predictor, sources, iter, None), tmp_path / "b.jsonl", predictor.markup, 40, 0.02)
    assert not (tmp_path / "b.jsonl").exists()
    assert (tmp_path / "b.jsonl.rejected.jsonl").exists()


@pytest.fixture
def video(tmp_path, make_spots) -> str:
    av = pytest.importorskip("av")
    path = str(tmp_path / "face.mkv")
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "bgr0"
        for number in range(20):
            image = make_spots(64, 64, np.array([[24.0, 22.0], [40.0, 22.0], [32.0, 30.0 + number % 2]]), 2.5)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_a_video_is_its_frames_and_smoothing_takes_its_jitter(predictor, video):
    plain = list(predict_video(predictor, video))
    assert [result.name for result in plain] == [f"{video}#{n:06d}" for n in range(20)]
    assert plain[5].seconds == pytest.approx(0.2, abs=2e-3)
    assert plain[5].tracks is None
    smooth = list(predict_video(predictor, video, 5.0))
    assert {tuple(result.tracks) for result in smooth} == {(1,)}
    jitter = [
        np.std([result.faces[0].points_K2[2, 1] for result in results[10:]]) for results in (plain, smooth)
    ]
    assert jitter[0] == pytest.approx(0.5, abs=0.1)
    assert jitter[1] < 0.7 * jitter[0]


def test_a_damaged_video_gives_the_frames_before_the_damage(predictor, video, tmp_path):
    (tmp_path / "cut.mkv").write_bytes(b"\0" * 4000)
    (result,) = predict_video(predictor, str(tmp_path / "cut.mkv"))
    assert isinstance(result, Reject)
    assert "frame 0 cannot be decoded" in result.detail


def test_a_stored_face_is_called_by_its_key(toy_sets, make_colour_model):
    data = str(toy_sets["test"])
    results = predict_shard(Predictor(make_colour_model()), data, 0)
    assert len(results) == load_manifest(data).shards[0].samples
    assert (results[0].width, results[0].height, results[0].image_HW3) == (160, 160, None)
