"""A prepared set's faces are answered in the pixels of their originals; a model is calibrated on one."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ConfigError, DataError
from pipeline.inference.calibration import load_calibration, save_calibration, summary
from pipeline.inference.predictor import Predictor
from pipeline.inference.stored import calibrate, predict_stored
from pipeline.shards.manifest import dump_manifest, load_manifest
from pipeline.shards.read import iterate_shard
from pipeline.shards.shard_list import ShardList
from pipeline.shards.write import write_shard


@pytest.fixture
def colour_set(tmp_path, make_toy_set, make_spots, make_colour_model):
    """Toy faces' shards, with spots of colour for faces: 120 px of the original from (10, 6) lie under 80 px."""
    folder = make_toy_set(tmp_path / "set", 40, split="validation", samples_per_shard=40)
    manifest = load_manifest(str(folder))
    rng = np.random.default_rng(0)
    samples = []
    for raw in iterate_shard(f"{folder}/{manifest.shards[0].path}"):
        stored = rng.uniform(20, 60, (3, 2))
        buffer = io.BytesIO()
        Image.fromarray(make_spots(80, 80, stored, 3.0)).save(buffer, "JPEG", quality=95)
        meta = json.loads(raw.json)
        # Annotators are off by 2 stored px a coordinate, 3 original ones.
        known = (stored + 0.5 + rng.normal(0, 2, (3, 2))) * 1.5 - 0.5 + (10.0, 6.0)
        meta |= {"points": known.tolist(), "visible": [True] * 3}
        samples.append(raw._replace(jpg=buffer.getvalue(), json=json.dumps(meta).encode()))
    entry = write_shard(f"{folder}/{manifest.shards[0].path}", samples)
    definition = make_colour_model().description.markup_definition
    told = manifest.model_copy(
        update={
            "markup": "colours",
            "markup_definition": definition,
            "num_landmarks": 3,
            "shards": ShardList.of([entry]),
        }
    )
    (folder / "manifest.json").write_text(dump_manifest(told))
    return str(folder), told, samples


def test_answers_are_in_original_pixels(colour_set, make_colour_model):
    folder, manifest, samples = colour_set
    predictor = Predictor(make_colour_model())
    predictor.check_fits(manifest, folder)
    answers = list(predict_stored(predictor, manifest, folder, 0))
    assert [key for key, _, _ in answers] == [raw.key for raw in samples]
    truth = np.array([meta.points for _, meta, _ in answers])
    found = np.array([face.points_K2 for _, _, face in answers])
    assert np.abs(found - truth).mean() < 3.5  # of the annotators: 3 · √(2/π) = 2.4
    assert {face.size for _, _, face in answers} == {40.0}
    assert answers[0][2].box == (10.0, 6.0, 130.0, 126.0)


def test_an_unreadable_sample_is_told_and_leaves_the_others(colour_set, make_colour_model):
    folder, manifest, samples = colour_set
    broken = [raw._replace(jpg=b"x") if place == 33 else raw for place, raw in enumerate(samples)]
    write_shard(f"{folder}/{manifest.shards[0].path}", broken)
    answers = list(predict_stored(Predictor(make_colour_model()), manifest, folder, 0))
    assert [place for place, (_, meta, _) in enumerate(answers) if meta is None] == [33]
    assert "cannot identify image" in answers[33][2]
    with pytest.raises(DataError, match=f"'{samples[33].key}' cannot be read"):
        calibrate(make_colour_model(), folder)


def test_a_model_is_calibrated_and_reads_its_calibration_back(colour_set, make_colour_model, tmp_path):
    folder, _, _ = colour_set
    calibration = calibrate(make_colour_model(), folder)
    plain, flipped = calibration.fits
    assert (plain.flip, flipped.flip) == (False, True)
    assert (plain.faces, plain.landmarks) == (40, 120)
    # The error is the annotators': Rayleigh of 3 px, of faces of 40 px within 4 px in 59 %.
    assert plain.right == pytest.approx(1 - np.exp(-(4**2) / (2 * 3**2)), abs=0.1)
    assert plain.log_loss[1] < plain.log_loss[0]
    assert plain.gap[1] < plain.gap[0]
    # Errors are alike on all faces: calibrated, the mean confidence is the share that is right.
    save_calibration(str(tmp_path / "m"), calibration)
    assert load_calibration(str(tmp_path / "m")) == calibration
    assert load_calibration(str(tmp_path)) is None
    assert len(summary(calibration.fits)) == 2


def test_a_set_that_does_not_fit_is_refused(colour_set, make_colour_model, toy_sets):
    folder, _, _ = colour_set
    with pytest.raises(ConfigError, match=r"cropped with side_factor 3.0, 'colours' was trained on 2.0"):
        calibrate(make_colour_model(side_factor=2.0), folder)
    for other in ("validation", "unlabelled"):
        with pytest.raises(ConfigError, match="calibrate on a labelled set of that markup"):
            calibrate(make_colour_model(), str(toy_sets[other]))
