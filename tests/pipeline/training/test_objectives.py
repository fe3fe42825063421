"""What the loop does with objectives beside the step: built, shown labelled faces, checked, measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError
from pipeline.methods.unlabelled.detector_points import DetectorPoints
from pipeline.shards.device import DeviceBatch
from pipeline.shards.manifest import SampleMeta, join, load_manifest
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.selection import nested_subset
from pipeline.shards.write import encode_meta, write_shard
from pipeline.training.build import build_generator, build_method, build_objectives
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.objectives import FACES, Objectives, learn_from_labelled


class Engine:
    """Holds a network, as an engine does."""

    def __init__(self, module: nn.Module, optimizer: object) -> None:
        self.module = module
        self.optimizer = torch.optim.Adam(module.parameters())


@pytest.fixture
def make(toy_experiment):
    def made(**unlabelled) -> tuple[Objectives, nn.Module]:
        toy_experiment["unlabelled"] = unlabelled
        config = ExperimentConfig.model_validate(toy_experiment)
        train = load_manifest(config.data.train)
        generator = build_generator(config, train.layout)
        method = build_method(config, train.layout, generator)
        device = torch.device("cpu")
        return Objectives(config, train.layout, train, method, device, Engine), generator

    return made


def unlabelled_batch(count: int, five: float = 20.0) -> DeviceBatch:
    known = torch.ones(count, 0, dtype=torch.bool)
    return DeviceBatch(
        torch.rand(count, 3, 80, 80), torch.zeros(count, 0, 2), known, known, torch.ones(count, dtype=torch.bool),
        torch.ones(count), [f"k{i}" for i in range(count)], five_B52=torch.full((count, 5, 2), five),
    )  # fmt: skip


SMALL = {"name": "patchgan", "width": 4}


def test_each_objective_has_its_weight_and_its_own_network_its_rate(make):
    objectives, _ = make(
        objectives=[
            {"name": "adversarial", "discriminator": SMALL, "weight": {"share": 0.2}},
            {"name": "equivariance", "weight": 3.0},
        ],
        optimizer={"lr": 0.01},
    )
    assert [(t.name, t.weight.share, t.weight.fixed) for t in objectives.teachings] == [
        ("adversarial", 0.2, None),
        ("equivariance", None, 3.0),
    ]
    assert set(objectives.discriminators) == {"adversarial"}
    assert not objectives.needs_teacher
    objectives.set_learning_rate(0.5)
    (group,) = objectives.discriminators["adversarial"].optimizer.param_groups
    assert group["lr"] == 0.005


@pytest.mark.parametrize("part", [{"name": "mean_teacher"}, {"name": "detector_shape", "teacher": 0.5}])
def test_a_teacher_without_an_average_is_refused(make, part):
    with pytest.raises(ConfigError, match=f"objective '{part['name']}' learns from the average.*ema_decay"):
        make(objectives=[{"name": "equivariance"}, part])


def test_a_supervised_run_has_none(make):
    objectives, generator = make(objective=None)
    assert objectives.teachings == []
    assert objectives.validate(generator) == {}
    assert objectives.complaints({"loss": 1.0}, 5) == []


def test_validation_measures_the_discriminator_on_held_out_faces(make):
    objectives, generator = make(objective={"name": "adversarial", "discriminator": SMALL})
    assert objectives.validate(generator) == {}  # no unlabelled face was seen
    for _ in range(6):
        objectives.see(unlabelled_batch(16))
    found = objectives.validate(generator)
    assert set(found) == {"adversarial/auc_heatmap", "adversarial/auc_origin"}
    assert all(0.0 <= value <= 1.0 for value in found.values())


def test_faces_an_objective_cannot_use_are_refused_when_enough_were_seen(make):
    objectives, _ = make(objective={"name": "detector_points"})
    nowhere = unlabelled_batch(16, five=float("nan"))
    for _ in range(FACES // 16 - 1):
        objectives.see(nowhere)
    with pytest.raises(ConfigError, match="no points of a detector"):
        objectives.see(nowhere)
    objectives, _ = make(objective={"name": "detector_points"})
    for _ in range(2 * FACES // 16):
        objectives.see(unlabelled_batch(16))


def test_what_is_learned_of_labelled_faces_is_of_those_the_run_trains_on(
    toy_experiment, make_toy_set, tmp_path
):
    """A detector that is 2 px off to the left on the faces of a subset, and 40 px on all others."""
    folder = make_toy_set(tmp_path / "set", 24, seed=9)
    manifest = load_manifest(str(folder))
    chosen = set(nested_subset(24, 8, 5).tolist())
    place = 0
    for shard in manifest.shards:
        samples = []
        for raw in iterate_shard(join(str(folder), shard.path)):
            meta = SampleMeta.model_validate_json(raw.json)
            five = manifest.layout.five_from(np.array(meta.points)) - (2.0 if place in chosen else 40.0, 0.0)
            found = meta.model_copy(update={"five": [tuple(p) for p in five.tolist()]})
            samples.append(RawSample(raw.key, raw.jpg, encode_meta(found)))
            place += 1
        write_shard(join(str(folder), shard.path), samples)

    toy_experiment["unlabelled"] = {"objective": {"name": "detector_points"}}
    config = ExperimentConfig.model_validate(toy_experiment)
    (objective,) = build_objectives(config, manifest.layout).values()
    assert isinstance(objective, DetectorPoints)
    learn_from_labelled([objective], str(folder), manifest, 8, 5)
    # 2 px to the right, in units of the face: the same for all five points, as the detector's error was.
    assert (objective.offset_52[:, 0] > 0.02).all()
    assert (objective.offset_52[:, 0] < 0.2).all()
    assert objective.offset_52[:, 1].abs().max() < 0.05
    learn_from_labelled([objective], str(folder), manifest, None, 5)
    assert (objective.offset_52[:, 0] > 0.3).all()
