"""Labelled sets mixed into each step: how many faces of each, which ones, and what may not be mixed in."""

import json

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.training.batches import DeviceBatch
from pipeline.training.checkpoint import RunState
from pipeline.training.config.compose import validate
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.extra import with_radii
from pipeline.training.feeds import open_loaders
from pipeline.training.plan import make_plan


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, make_toy_set) -> str:
    return str(make_toy_set(tmp_path_factory.mktemp("extra") / "drawn", 40, seed=9, name="drawn"))


@pytest.fixture(scope="module")
def experiment(toy_sets, drawn):
    def make(*extra, batch=16, seed=0, **cluster) -> ExperimentConfig:
        sets = {key: str(toy_sets[key]) for key in ("train", "validation")}
        raw = {
            "name": "x",
            "seed": seed,
            "data": {**sets, "streams": 4, "extra": [{"set": drawn, "share": 0.25}, *extra]},
            "training": {"batch": batch, "epochs": 3},
            "cluster": cluster,
        }
        return validate(raw, ExperimentConfig, "x.yaml")

    return make


def test_shares_are_whole_faces_of_the_global_batch(experiment, toy_sets):
    config = experiment()
    assert (config.train_batch, config.extra_batches) == (12, (4,))
    plan = make_plan(config)
    # An epoch is a pass over the training set: 60 faces, 12 a step.
    assert (plan.steps_per_epoch, plan.steps) == (5.0, 15)
    config = experiment({"set": str(toy_sets["train"]), "share": 0.3})
    assert (config.train_batch, config.extra_batches) == (7, (4, 5))


def test_parts_that_workers_cannot_share_are_refused(experiment):
    assert experiment(workers=4).train_batch == 12
    with pytest.raises(ConfigError, match=r"12 faces of a set .* cluster.workers = 8"):
        experiment(workers=8)
    with pytest.raises(ConfigError, match=r"each needs one"):
        experiment(batch=1)


def global_batches(config: ExperimentConfig, steps: int, world_size: int) -> list[list[str]]:
    """Keys of each step, rank by rank put together as the order says."""
    plan, sizes = make_plan(config), (config.train_batch, *config.extra_batches)
    state = RunState(extra_positions=(0,) * len(config.data.extra))
    batches: list[list[str]] = []
    while len(batches) < steps:
        # Loaders that go on where the last ones stopped, three steps at a time.
        ranks = [open_loaders(plan, state, r, world_size)[0] for r in range(world_size)]
        for _ in range(3):
            parts = [[loader.next().keys for loader in rank] for rank in ranks]
            batches.append(
                [
                    parts[i % world_size][s][i // world_size]
                    for s, size in enumerate(sizes)
                    for i in range(size)
                ]
            )
            state.take_labelled(config.train_batch, config.extra_batches)
        for loader in (loader for rank in ranks for loader in rank):
            loader.close()
    return batches[:steps]


def test_global_batches_are_the_same_at_any_world_size(experiment):
    one = global_batches(experiment(), 12, 1)
    assert global_batches(experiment(), 12, 2) == global_batches(experiment(), 12, 4) == one
    assert all([key.startswith("drawn") for key in step] == [False] * 12 + [True] * 4 for step in one)
    # 10 steps of 4 are an epoch of the 40 drawn faces, 5 of 12 one of the training faces.
    assert len({key for step in one[:10] for key in step[12:]}) == 40
    assert len({key for step in one[:5] for key in step[:12]}) == 60
    assert global_batches(experiment(seed=1), 2, 1) != one[:2]


def test_the_training_faces_are_those_of_a_run_without_extra_sets(experiment, drawn):
    alone = experiment().model_copy(update={"data": experiment().data.model_copy(update={"extra": ()})})
    with_extra = [key for step in global_batches(experiment(), 8, 1) for key in step[:12]]
    assert with_extra == [key for step in global_batches(alone, 6, 1) for key in step]


def test_what_may_not_be_mixed_in(experiment, toy_sets, tmp_path):
    def plan_with(folder) -> None:
        make_plan(experiment({"set": str(folder), "share": 0.25}))

    with pytest.raises(ConfigError, match=r"data.extra.1.set = .*is an unlabelled set"):
        plan_with(toy_sets["unlabelled"])
    for held_out in ("validation", "test"):
        with pytest.raises(ConfigError, match="held out for measuring"):
            plan_with(toy_sets[held_out])
    manifest = json.loads((toy_sets["train"] / "manifest.json").read_text())
    changes = (
        ({"markup": "wflw98"}, "has markup 'wflw98'.*data.train 'ibug68'"),
        (
            {"crop": manifest["crop"] | {"side_factor": 2.0}},
            "cropped with side_factor 2.0, data.train with 3.0",
        ),
    )
    for place, (change, message) in enumerate(changes):
        other = tmp_path / str(place)
        other.mkdir()
        (other / "manifest.json").write_text(json.dumps(manifest | change))
        with pytest.raises(ConfigError, match=message):
            plan_with(other)


def test_only_coarse_sets_have_a_radius(experiment, drawn):
    def parts() -> list[DeviceBatch]:
        empty = torch.zeros(2)
        return [DeviceBatch(empty, empty, empty, empty, empty, empty, ["a", "b"]) for _ in range(3)]

    exact = experiment({"set": drawn, "share": 0.25})
    assert [p.radius_B for p in with_radii(parts(), exact, 0, 100)] == [None] * 3
    coarse = experiment({"set": drawn, "share": 0.25, "shrink": {"radius": 0.1, "until": 0.5}})
    assert [p.radius_B.tolist() for p in with_radii(parts(), coarse, 25, 100)] == [[0, 0], [0, 0], [4, 4]]
    assert [p.radius_B for p in with_radii(parts(), coarse, 50, 100)] == [None] * 3
