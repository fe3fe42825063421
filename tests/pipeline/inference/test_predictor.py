"""Landmarks come back in the image's pixels whatever the crops and inputs are; a face drawn by the project is found by MTCNN."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import Predictor
from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.errors import ConfigError, DataError
from pipeline.faces.crop import extract
from pipeline.faces.detect import DetectedFace
from pipeline.inference.calibration import Calibration, Fit, save_calibration
from pipeline.inference.confidence import disc_probability, variances
from pipeline.inference.mixture import mixture
from pipeline.methods.build import make_generator
from pipeline.methods.model_file import LandmarkModel, ModelDescription, load_description, save_model
from pipeline.registry import Part
from pipeline.shards.manifest import CropPolicy

POINTS = np.array([[130.3, 90.6], [160.8, 99.1], [144.2, 130.4]])
BOX = (100.0, 50.0, 200.0, 170.0)


@pytest.fixture
def image(make_spots) -> np.ndarray:
    return make_spots(220, 300, POINTS, 5.0)


class KnownDetector:
    """Says where the faces of an image are."""

    def __init__(self, faces: list[DetectedFace]) -> None:
        self.faces = faces

    def detect(self, images):
        return [self.faces for _ in images]


@pytest.mark.parametrize(
    ("size", "input_size", "side_factor"), [(80, 80, 3.0), (80, 64, 3.0), (64, 96, 2.2), (256, 128, 4.0)]
)
def test_landmarks_are_in_the_images_pixels(make_colour_model, image, size, input_size, side_factor):
    predictor = Predictor(make_colour_model(size, input_size, side_factor))
    (face,) = predictor(image, boxes=[BOX])
    # The box's longer side is 120: MTCNN's five points span 0.4 of it, their centre 0.075 of it below the middle.
    assert face.size == pytest.approx(48.0)
    assert face.crop.side == pytest.approx(48.0 * side_factor)
    assert (face.crop.left + face.crop.side / 2, face.crop.top + face.crop.side / 2) == pytest.approx(
        (150.0, 119.0)
    )
    assert np.abs(face.points_K2 - POINTS).max() < 0.35 * face.crop.side / input_size
    np.testing.assert_array_equal(face.image_SS3, extract(image, face.crop))
    assert (face.box, face.score, face.calibrated) == (BOX, None, False)


def test_covariances_follow_the_scale(make_colour_model, image):
    predictor = Predictor(make_colour_model())
    twice = np.asarray(Image.fromarray(image).resize((600, 440), Image.Resampling.BICUBIC))
    (small,), (large,) = predictor(image, [BOX]), predictor(twice, [[2 * value for value in BOX]])
    np.testing.assert_allclose(large.points_K2, (small.points_K2 + 0.5) * 2 - 0.5, atol=0.15)
    np.testing.assert_allclose(
        large.covariance_K22, 4 * small.covariance_K22, rtol=0.12, atol=1e-9
    )  # spots are resampled, too
    assert large.confidence == pytest.approx(small.confidence, abs=0.01)
    expected = disc_probability(variances(small.covariance_K22[None], np.array([48.0])), 0.1)[0]
    np.testing.assert_allclose(small.confidence_K, expected)
    assert small.confidence == pytest.approx(expected.mean())


def test_detected_faces_are_cut_out_around_their_five_points(make_colour_model, image):
    five = np.array([[132.0, 92.0], [160.0, 94.0], [146.0, 110.0], [135.0, 128.0], [157.0, 130.0]])
    faces = [DetectedFace(BOX, 0.99, five), DetectedFace((0.0, 0.0, 60.0, 60.0), 0.8, five - 90.0)]
    predictor = Predictor(make_colour_model(), detector=KnownDetector(faces))
    first, second = predictor(image)
    assert (first.score, second.score) == (0.99, 0.8)
    assert first.size == pytest.approx(38.0)
    np.testing.assert_allclose(first.points_K2, POINTS, atol=0.6)
    assert [len(faces) for faces in predictor.predict([image] * 20)] == [2] * 20  # over one batch of 32
    assert Predictor(make_colour_model(), detector=KnownDetector([]))(image) == []


def test_what_no_detector_finds_is_predicted_in_its_box_or_as_a_whole_image(make_colour_model, image):
    def placed(points, factor):
        return Predictor(make_colour_model(128, 128, factor, points=points))

    boxed = placed("box", 1.5)
    (face,) = boxed(image, [BOX])
    assert (face.crop.side, face.crop.left, face.crop.top) == pytest.approx((180.0, 60.0, 20.0))
    np.testing.assert_allclose(face.points_K2, POINTS, atol=1.0)
    for needy in (boxed, placed("landmarks", 1.5)):  # of a markup without five points
        with pytest.raises(ConfigError, match="only faces are detected: give boxes"):
            needy(image)
    whole = placed("image", 1.0)
    (face,) = whole(image)
    assert (face.crop.side, face.crop.left, face.crop.top) == (300.0, 0.0, -40.0)
    np.testing.assert_allclose(face.points_K2, POINTS, atol=2.0)
    with pytest.raises(ConfigError, match="trained on whole images: give no boxes"):
        whole(image, [BOX])
    with pytest.raises(ConfigError, match="placed by image, .* by box: an ensemble's models"):
        Predictor([whole.models[0], boxed.models[0]])


def test_an_ensemble_is_the_mixture_of_its_members(make_colour_model, image):
    models = [make_colour_model(80, 80, 3.0), make_colour_model(128, 64, 4.0)]
    alone = [Predictor(model)(image, [BOX])[0] for model in models]
    (joined,) = Predictor(models)(image, [BOX])
    points, covariance = mixture(
        [torch.from_numpy(face.points_K2) for face in alone],
        [torch.from_numpy(face.covariance_K22) for face in alone],
    )
    np.testing.assert_allclose(joined.points_K2, points)
    np.testing.assert_allclose(joined.covariance_K22, covariance)
    assert joined.crop == alone[0].crop


def test_the_mirror_image_agrees_where_the_network_does(make_colour_model, image):
    (plain,), (both,) = (Predictor(make_colour_model(), flip=flip)(image, [BOX]) for flip in (False, True))
    np.testing.assert_allclose(both.points_K2, plain.points_K2, atol=0.05)


def test_what_cannot_work_is_refused(make_colour_model, image, tmp_path):
    predictor = Predictor(make_colour_model())
    for box in [(10, 10, 10, 20), (10, 20, 30, 20), (1, 2, 3), (0, 0, np.nan, 9)]:
        with pytest.raises(DataError, match="expected left < right and top < bottom"):
            predictor(image, [box])
    with pytest.raises(DataError, match="1 lists of boxes for 2 images"):
        predictor.predict([image, image], [[BOX]])
    with pytest.raises(DataError, match="image 1 is an array of float64: expected uint8"):
        predictor.predict([image, image / 255.0], [[BOX], [BOX]])
    with pytest.raises(ConfigError, match=r"between 0 and 1"):
        Predictor(make_colour_model(), tolerance=5)
    with pytest.raises(ConfigError, match="no model given"):
        Predictor([])
    with pytest.raises(DataError, match="neither a run's folder"):
        Predictor(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An untrained network of 68 landmarks, as training leaves one."""
    part = Part.model_validate({"name": "rcn", "width": 4})
    description = ModelDescription(
        name="toy", model=part, loss=Part(name="laplace_kl"), markup="ibug68", num_landmarks=68, input_size=64, step=7,
        crop=CropPolicy(points="detector", side_factor=3.0, size=80, jpeg_quality=95), averaged=False, parameters=1,
        config_hash="abc", seed=0,
    )  # fmt: skip
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("model") / "best"
    save_model(str(folder), description, make_generator(part, description.layout, 64).state_dict())
    return folder


def test_markups_of_an_ensemble_agree(make_colour_model, folder):
    with pytest.raises(ConfigError, match="an ensemble's models have one markup"):
        Predictor([folder, make_colour_model()])


def test_a_calibration_holds_for_its_weights_and_its_way_of_asking(folder, tmp_path):
    own = tmp_path / "best"
    shutil.copytree(folder, own)
    assert "run 'landmarks calibrate'" in Predictor(own).uncalibrated
    fit = Fit(
        flip=False, temperature=2.0, faces=1, landmarks=68, right=0.5, log_loss=(1.0, 0.5), gap=(0.2, 0.1)
    )
    calibration = Calibration(config_hash="abc", step=7, data="d", data_config_hash="e", fits=(fit,))
    save_calibration(str(own), calibration)
    calibrated, bare = Predictor(own), Predictor(folder)
    assert (calibrated.temperature, calibrated.uncalibrated) == (2.0, None)
    photo = np.full((100, 100, 3), 90, dtype=np.uint8)
    (told,), (word,) = calibrated(photo, [(20, 20, 80, 80)]), bare(photo, [(20, 20, 80, 80)])
    assert (told.calibrated, word.calibrated) == (True, False)
    expected = disc_probability(variances(word.covariance_K22[None], np.array([word.size])), 0.1, 2.0)[0]
    np.testing.assert_allclose(told.confidence_K, expected)
    for other in (Predictor(own, flip=True), Predictor(own, tolerance=0.2), Predictor([own, folder])):
        assert other.temperature is None
        assert other.uncalibrated
    save_calibration(str(own), calibration.model_copy(update={"step": 8}))
    assert "not for these weights" in Predictor(own).uncalibrated
    (own / "calibration.json").write_text("{")
    with pytest.raises(DataError, match="not a calibration"):
        Predictor(own)


def test_a_drawn_face_is_found_and_cut_out(folder):
    record = SyntheticFaces(1, seed=3, size=160, near_frontal=True).records()[0].load()
    (face,) = Predictor(folder)(record.image_HW3)
    points = record.annotation.points_K2
    low, high = points.min(axis=0), points.max(axis=0)
    assert (face.crop.left, face.crop.top) < tuple(low)
    assert face.crop.contains(points).mean() > 0.95
    left, top, right, bottom = face.box
    assert left < points[:, 0].mean() < right
    assert top < points[:, 1].mean() < bottom
    assert face.score > 0.9
    assert face.points_K2.shape == (68, 2)
    assert face.size < (high - low).max() < 3 * face.size


def test_the_readmes_lines_run(folder, tmp_path):
    """As they stand, but for the names of the model and the photograph."""
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    section = readme.split("### Use a trained model", 1)[1]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1)
    assert len(code.strip().splitlines()) <= 5
    record = SyntheticFaces(1, seed=3, size=160, near_frontal=True).records()[0].load()
    Image.fromarray(record.image_HW3).save(tmp_path / "photo.jpg")
    shutil.copytree(folder, tmp_path / "outputs/runs/laplace-300w/models/best")
    code = code.replace('"outputs/runs/laplace-300w"', '"outputs/runs/laplace-300w/models/best"')
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip().splitlines()) == 1
    assert load_description(str(folder)).name == "toy"


def test_a_loaded_model_is_taken_as_it_is(make_colour_model):
    model = make_colour_model()
    assert isinstance(model, LandmarkModel)
    assert Predictor(model).models == [model]
