"""Pose balancing from a prepared set: bins, subsets, plans, and the shape that displacements start from."""

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.faces.pose import bins_of, pose_coordinates
from pipeline.models.regressor import CoordinateRegressor
from pipeline.shards.manifest import dump_manifest, load_manifest, manifest_url
from pipeline.shards.poses import coordinates, poses_of, read_shapes
from pipeline.shards.selection import nested_subset
from pipeline.storage import write_text
from pipeline.training.balance import BalanceConfig, balance_of, origin_shape
from pipeline.training.build import build_generator, build_method
from pipeline.training.plan import make_plan, orders, set_origin


@pytest.fixture
def train(toy_sets) -> str:
    return str(toy_sets["train"])


def test_shapes_are_read_in_the_manifests_order(train):
    manifest = load_manifest(train)
    shapes = read_shapes(manifest, train)
    assert shapes.shape == (60, 68, 2)
    assert np.isfinite(shapes).all()
    assert shapes.min() > -manifest.crop.size
    assert shapes.max() < 2 * manifest.crop.size


def test_a_damaged_tar_costs_its_own_shapes_alone(tmp_path, make_toy_set, caplog):
    folder = make_toy_set(tmp_path / "set", 24, seed=1, samples_per_shard=8)
    manifest = load_manifest(str(folder))
    whole = read_shapes(manifest, str(folder))
    (folder / manifest.shards[1].path).write_bytes(b"no tar" * 200)
    shapes = read_shapes(manifest, str(folder))
    assert np.isnan(shapes[8:16]).all()
    np.testing.assert_array_equal(shapes[:8], whole[:8])
    np.testing.assert_array_equal(shapes[16:], whole[16:])
    assert manifest.shards[1].path in caplog.text


def test_manifests_keep_poses_on_one_line_and_older_ones_do_without(train, tmp_path):
    manifest = load_manifest(train)
    poses = poses_of(read_shapes(manifest, train))
    assert len(poses) == 60
    with_poses = manifest.model_copy(update={"pose": poses})
    write_text(manifest_url(str(tmp_path)), dump_manifest(with_poses))
    assert load_manifest(str(tmp_path)) == with_poses
    assert (
        dump_manifest(with_poses).count("\n")
        == dump_manifest(manifest.model_copy(update={"pose": None})).count("\n") + 1
    )
    np.testing.assert_allclose(coordinates(with_poses, "nowhere"), poses)
    older = manifest.model_copy(update={"pose": None})
    np.testing.assert_allclose(coordinates(older, train), poses, atol=1e-4)


def test_bins_are_those_of_the_faces_that_take_part(train):
    manifest = load_manifest(train)
    config = BalanceConfig(kind="undersample", bins=4)
    balance = balance_of(config, train, manifest, 30, 7)
    chosen = nested_subset(60, 30, 7)
    np.testing.assert_array_equal(balance.group, bins_of(coordinates(manifest, train)[chosen], 4))
    assert balance_of(BalanceConfig(), train, manifest, 30, 7) is None


def test_origins_by_hand(train):
    manifest = load_manifest(train)
    shapes = read_shapes(manifest, train)
    np.testing.assert_allclose(origin_shape("mean", 9, train, manifest, None, 0), shapes.mean(0))
    bins = bins_of(coordinates(manifest, train), 5)
    by_hand = np.mean([shapes[bins == b].mean(0) for b in np.unique(bins)], axis=0)
    np.testing.assert_allclose(origin_shape("mean_of_bin_means", 5, train, manifest, None, 0), by_hand)
    few = origin_shape("mean", 9, train, manifest, 10, 3)
    np.testing.assert_allclose(few, shapes[nested_subset(60, 10, 3)].mean(0))


def test_a_set_without_poses_says_so(tmp_path, make_toy_set):
    folder = str(make_toy_set(tmp_path / "one", 1, seed=1))
    with pytest.raises(ConfigError, match=r"at least two faces.*data\.balance\.kind=none"):
        balance_of(BalanceConfig(kind="replicate"), folder, load_manifest(folder), None, 0)


def test_a_plan_counts_balanced_epochs_and_a_regressor_starts_at_the_shape(toy_experiment):
    from pipeline.training.config.experiment import ExperimentConfig

    raw = toy_experiment | {
        "input_size": 160,
        "model": {"name": "regressor", "backbone": "resnet18"},
        "loss": {"name": "anisotropic"},
        "method": {"name": "anisotropic"},
        "training": {"epochs": 3, "batch": 2},
    }
    raw["data"] = raw["data"] | {"balance": {"kind": "undersample", "bins": 3}}
    plan = make_plan(ExperimentConfig.model_validate(raw))
    order = orders(plan).train
    assert plan.epoch_faces == order.samples == plan.balance.share * len(plan.balance.members) < 60
    assert plan.steps == max(round(3 * plan.epoch_faces / 2), 1)
    torch.manual_seed(0)
    generator = build_generator(plan.config, plan.markup)
    assert isinstance(generator, CoordinateRegressor)
    set_origin(generator, build_method(plan.config, plan.markup, generator), plan)
    torch.nn.init.zeros_(generator.last.weight)
    points = generator.eval()(torch.rand(2, 3, 160, 160)).last.points[0].detach().numpy()
    manifest = load_manifest(str(plan.config.data.train))
    shape = origin_shape("mean_of_bin_means", 3, str(plan.config.data.train), manifest, None, 0)
    # The same place on an image twice as large.
    np.testing.assert_allclose(points, (shape + 0.5) * 160 / manifest.crop.size - 0.5, atol=1e-3)


def test_poses_come_from_preparation_too():
    random = np.random.default_rng(0)
    shapes = random.normal(size=(20, 5, 2))
    shapes[3] = np.nan
    kept = poses_of(shapes)
    assert kept[3] is None
    np.testing.assert_allclose(
        [k for k in kept if k is not None], np.delete(pose_coordinates(shapes), 3), atol=1e-4
    )
    assert poses_of(shapes[:1]) is None
