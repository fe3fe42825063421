"""Predicted points → shard → loader: the same points; resumed shard by shard; and nothing of an annotator's is left in it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import DataError
from pipeline.inference.flip import averaged_over_flip
from pipeline.inference.pseudo_label import Labelling, assemble, label_shard
from pipeline.markup import load_markup
from pipeline.methods.build import make_generator, make_method
from pipeline.methods.model_file import LandmarkModel, ModelDescription
from pipeline.registry import Part
from pipeline.shards.device import to_device
from pipeline.shards.joined import join_unlabelled, open_set
from pipeline.shards.loader import BatchLoader
from pipeline.shards.manifest import CropPolicy, SampleMeta, load_manifest
from pipeline.shards.order import order_for
from pipeline.shards.read import iterate_shard
from pipeline.shards.stream import SampleStream

SIDE = 64  # of the network's input; stored images have 80
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> LandmarkModel:
    torch.manual_seed(0)
    markup = load_markup("ibug68")
    network, loss = Part.model_validate({"name": "rcn", "width": 4, "dropout": 0.0}), Part(name="laplace_kl")
    generator = make_generator(network, markup, SIDE)
    description = ModelDescription(
        name="teacher",
        model=network,
        loss=loss,
        markup="ibug68",
        num_landmarks=68,
        input_size=SIDE,
        crop=CropPolicy(points="landmarks", side_factor=3.0, size=80, jpeg_quality=95),
        step=1,
        averaged=False,
        parameters=0,
        config_hash="a" * 12,
        seed=0,
    )
    method = make_method(Part(name="laplace"), loss, None, markup, SIDE, generator)
    return LandmarkModel(generator, method, description).eval()


@pytest.fixture
def job(toy_sets, tmp_path) -> Labelling:
    """Every third of the unlabelled faces, and two of the labelled ones."""
    names = [str(toy_sets["unlabelled"]), str(toy_sets["train"])]
    sets = join_unlabelled([(name, load_manifest(name)) for name in names])
    return Labelling(
        "teacher", "b" * 64, sets, np.array([*range(0, 90, 3), 95, 149]), str(tmp_path / "pseudo")
    )


def made(job: Labelling, model: LandmarkModel):
    for shard in job.shards():
        label_shard(job, shard, model)
    return assemble(job, model.description, "pseudo")


def test_predicted_points_come_back_from_the_loader(job, model):
    manifest = made(job, model)
    assert (manifest.samples, manifest.role, manifest.markup) == (32, "labelled", "ibug68")
    assert job.existing() == manifest
    assert not (Path(job.out) / ".finished").exists()
    order = order_for([s.samples for s in manifest.shards], streams=4, seed=0, buffer=4)
    loader = BatchLoader(SampleStream(job.out, order), 32)
    try:
        batch = loader.next()
    finally:
        loader.close()
    seen = to_device(batch, CPU, SIDE)
    assert bool(seen.valid_B.all())
    expected, covariance = averaged_over_flip(model, seen.images_B3HW)
    # Stored to 1e-4 px of the original.
    torch.testing.assert_close(seen.points_BK2, expected, atol=1e-3, rtol=0)
    stored = {
        raw.key: SampleMeta.model_validate_json(raw.json)
        for shard in manifest.shards
        for raw in iterate_shard(f"{job.out}/{shard.path}")
    }
    xx, xy, yy = np.array([stored[key].covariance for key in seen.keys]).transpose(2, 0, 1)
    # 120 px of the original lie under the 64 of the input.
    scaled = covariance.numpy() * (120 / SIDE) ** 2
    np.testing.assert_allclose(xx, scaled[..., 0, 0], atol=1e-3)
    np.testing.assert_allclose(xy, scaled[..., 0, 1], atol=1e-3)
    np.testing.assert_allclose(yy, scaled[..., 1, 1], atol=1e-3)


def test_the_chosen_faces_are_labelled_and_annotations_are_not_taken_over(job, model):
    manifest = made(job, model)
    source = [raw for s in range(len(job.sets.shard_samples)) for raw in iterate_shard(job.sets.url(s))]
    labelled = [raw for shard in manifest.shards for raw in iterate_shard(f"{job.out}/{shard.path}")]
    assert [raw.key for raw in labelled] == [source[i].key for i in job.ordinals_N]
    assert [raw.jpg for raw in labelled] == [source[i].jpg for i in job.ordinals_N]
    annotated, told = json.loads(source[149].json), json.loads(labelled[-1].json)
    assert annotated["points"] != told["points"]
    assert (told["attributes"], told["visible"]) == ({}, None)


def test_labelling_goes_on_where_it_stopped(job, model):
    first, *rest = job.shards()
    note = label_shard(job, first, model)
    with pytest.raises(DataError, match="are not labelled yet"):
        assemble(job, model.description, "pseudo")
    shard = Path(job.out) / note["entry"]["path"]
    written = shard.stat().st_mtime_ns
    whole = made(job, model)
    assert shard.stat().st_mtime_ns == written
    shutil.rmtree(job.out)
    assert made(job, model) == whole
    assert len(rest) == len(whole.shards) - 1


def test_other_weights_or_faces_make_another_set(job, model):
    made(job, model)
    other = Labelling("teacher", "c" * 64, job.sets, job.ordinals_N, job.out)
    fewer = Labelling("teacher", "b" * 64, job.sets, job.ordinals_N[1:], job.out)
    assert len({job.hash, other.hash, fewer.hash}) == 3
    assert other.existing() is None
    made(other, model)
    assert len(list(Path(job.out).glob("*.tar"))) == len(load_manifest(job.out).shards)
    assert open_set(job.out).samples == 32
