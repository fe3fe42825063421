"""``landmarks predict``: from models and inputs on the command line to files; labelled shards that training can read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.cli import parse
from jobs.cluster.predict import predict as measure
from jobs.cluster.session import ray_session
from jobs.predict import predict
from pipeline.datasets.synthetic import SyntheticFaces
from pipeline.errors import ConfigError
from pipeline.methods.build import make_generator
from pipeline.methods.model_file import ModelDescription, save_model
from pipeline.registry import Part
from pipeline.shards.loader import BatchLoader
from pipeline.shards.manifest import load_manifest
from pipeline.shards.order import order_for
from pipeline.shards.stream import SampleStream


@pytest.fixture(scope="module")
def models(tmp_path_factory, toy_sets) -> list[str]:
    """Two untrained networks, as training leaves them."""
    folders = []
    for seed in (0, 1):
        part = Part.model_validate({"name": "rcn", "width": 4})
        description = ModelDescription(
            name=f"toy{seed}", model=part, loss=Part(name="laplace_kl"), markup="ibug68", num_landmarks=68, input_size=64,
            step=7, crop=load_manifest(str(toy_sets["test"])).crop, averaged=False, parameters=1, config_hash="abc", seed=0,
        )  # fmt: skip
        torch.manual_seed(seed)
        folders.append(str(tmp_path_factory.mktemp("model")))
        save_model(folders[-1], description, make_generator(part, description.layout, 64).state_dict())
    return folders


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_images_and_sets_in_one_run(models, toy_sets, tmp_path, capsys):
    record = SyntheticFaces(1, seed=3, size=160, near_frontal=True).records()[0].load()
    Image.fromarray(record.image_HW3).save(tmp_path / "photo.png")
    predict(
        models, [str(tmp_path / "photo.png"), str(toy_sets["test"])], out=str(tmp_path / "a.jsonl"), flip=True
    )
    photo, *stored = lines(tmp_path / "a.jsonl")
    assert photo["image"] == f"{tmp_path}/photo.png"
    assert [len(result["faces"]) for result in (photo, *stored)] == [1] * 21
    said = capsys.readouterr().out
    assert "confidences are not calibrated: a mixture of several models" in said
    assert f"21 faces → {tmp_path}/a.jsonl" in said


@pytest.mark.cluster
def test_actors_and_tasks_give_what_this_process_gives(models, toy_sets, tmp_path):
    with ray_session(2):
        for workers in (0, 2):
            out = str(tmp_path / f"{workers}.jsonl")
            predict(models[:1], [str(toy_sets["unlabelled"])], out=out, workers=workers)
        measured = {n: measure(models, str(toy_sets["test"]), workers=n) for n in (0, 2)}
    here, there = lines(tmp_path / "0.jsonl"), lines(tmp_path / "2.jsonl")
    assert [result["image"] for result in here] == [result["image"] for result in there]
    assert len(here) == 90
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(one["faces"][0]["points"], other["faces"][0]["points"], atol=2e-3)
    # What is evaluated, too: each model's answers, in the order of the set.
    for one, other in zip(measured[0], measured[2], strict=True):
        assert list(one.keys) == list(other.keys)
        assert len(one) == 20
        np.testing.assert_allclose(one.points_NK2, other.points_NK2, atol=2e-3)
    assert not np.allclose(measured[0][0].points_NK2, measured[0][1].points_NK2)


def test_labelled_shards_are_a_set_for_training(models, toy_sets, tmp_path):
    out = str(tmp_path / "pseudo")
    inputs = [str(toy_sets["unlabelled"])]
    predict(models[:1], inputs, out=out, to="shards")
    made = load_manifest(out)
    assert (made.samples, made.role, made.markup) == (90, "labelled", "ibug68")
    order = order_for([shard.samples for shard in made.shards], streams=4, seed=0, buffer=4)
    loader = BatchLoader(SampleStream(out, order), 8)
    try:
        batch = loader.next()
    finally:
        loader.close()
    assert bool(batch.points_BK2.isfinite().all())
    predict(models[:1], inputs, out=str(tmp_path / "a.jsonl"))
    wanted = {result["image"]: result["faces"][0]["points"] for result in lines(tmp_path / "a.jsonl")}
    # Stored px: 120 px of the original under 80, edges at (10, 6).
    expected = (np.array([wanted[key] for key in batch.keys]) + 0.5 - (10.0, 6.0)) / 1.5 - 0.5
    np.testing.assert_allclose(batch.points_BK2, expected, atol=2e-3)


def test_what_cannot_work_is_refused(models, toy_sets, tmp_path):
    out = str(tmp_path / "x")
    with pytest.raises(ConfigError, match="one model and prepared sets"):
        predict(models, [str(toy_sets["test"])], out=out, to="shards")
    with pytest.raises(ConfigError, match="no format 'yaml'"):
        predict(models, [str(toy_sets["test"])], out=out, to="yaml")
    assert not (tmp_path / "x").exists()


def test_the_command_line():
    parsed = parse("predict", ["run", "a.jpg", "b.jpg", "--out", "o", "--with", "other", "--smooth", "30"])
    assert (parsed["model"], parsed["inputs"], parsed["others"]) == ("run", ["a.jpg", "b.jpg"], ["other"])
    assert parsed["smooth"] == 30.0
