"""A job's pods hold what its config asks for, as the jobs themselves count what a cluster holds, and no pod is for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.cli import parse
from jobs.cluster.fleet import runs_at_once
from jobs.settings import experiment
from jobs.submission.kubernetes.description import ClusterDescription
from jobs.submission.kubernetes.sizes import Workers, workers_of
from pipeline.errors import ConfigError

LAPLACE = "configs/laplace_300w.yaml"
TUNE, SCALE = "configs/tune_300w.yaml", "configs/scale_300w.yaml"
GPU = ("cluster.gpu=true", "cluster.cpus_per_worker=7")


@pytest.fixture(autouse=True)
def _folder(monkeypatch):
    monkeypatch.chdir(Path(__file__).resolve().parents[4])


def sized(verb: str, *arguments: str, **described: object) -> Workers:
    return workers_of(verb, parse(verb, arguments), ClusterDescription.model_validate(described))


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        (("train", LAPLACE), 1),
        (("train", LAPLACE, "cluster.workers=3", "cluster.cpus_per_worker=4"), 1),
        (("train", LAPLACE, "cluster.workers=4", *GPU), 1),
        (("train", LAPLACE, "cluster.workers=12", *GPU), 1),
        (("train", LAPLACE, "cluster.workers=64", *GPU), 1),
        (("train", LAPLACE, "cluster.workers=8", "cluster.min_workers=2", *GPU), 1),
        (("train", LAPLACE, "cluster.workers=64", "cluster.min_workers=16", *GPU), 1),
        (("train", LAPLACE, "cluster.workers=4", "cluster.min_workers=1"), 1),
        (("selftrain", "configs/laplace_300w.yaml", "cluster.workers=4", *GPU), 1),
        (("tune", TUNE), 8),
        (("tune", TUNE, "tune.trials=3", "cluster.workers=2"), 3),
        (("tune", TUNE, *GPU, "cluster.gpus_per_worker=0.5"), 8),
        (("tune", TUNE, *GPU, "cluster.gpus_per_worker=0.3", "tune.concurrent=4"), 4),
        (("scale", SCALE, "cluster.workers=8", "scale.concurrent=2", *GPU), 2),
    ],
    ids=lambda value: " ".join(value[2:]) if isinstance(value, tuple) else None,
)
def test_pods_hold_what_the_config_asks_for(command, runs):
    _, path, *overrides = command
    cluster, found = experiment(path, overrides).cluster, sized(*command)
    pod = {"CPU": float(found.cpus), "GPU": float(found.gpus)}
    assert runs_at_once(cluster, [pod] * found.most, None) >= runs
    one = cluster.model_copy(update={"workers": 1})
    if found.most > 1:
        assert runs_at_once(one, [pod] * (found.most - 1), None) < runs * cluster.workers
    if cluster.min_workers is not None:
        assert found.elastic
        in_pods = runs_at_once(one, [pod] * found.least, None)
        assert cluster.min_workers <= in_pods < cluster.min_workers + runs_at_once(one, [pod], None)
    else:
        assert found.least == found.most
    assert (found.gpus > 0) == cluster.gpu
    assert found.together == (cluster.workers > 1)


def test_shapes_of_one_gpu_and_of_eight():
    def shape(workers: int, *more: str) -> Workers:
        return sized("train", LAPLACE, f"cluster.workers={workers}", *GPU, *more)

    assert shape(4) == Workers(4, 4, cpus=8, memory_gib=48, gpus=1, shared_memory_gib=8, together=True)
    assert shape(8) == Workers(1, 1, cpus=57, memory_gib=384, gpus=8, shared_memory_gib=64, together=True)
    assert shape(64) == Workers(8, 8, cpus=57, memory_gib=384, gpus=8, shared_memory_gib=64, together=True)
    assert shape(12).gpus == 1  # half a node would lie idle
    assert shape(16, "cluster.min_workers=4").gpus == 1
    whole = shape(16, "cluster.min_workers=8")
    assert (whole.gpus, whole.least, whole.most) == (8, 1, 2)
    ones = sized("train", LAPLACE, "cluster.workers=16", *GPU, gpu={"gpus_per_pod": [1]})
    assert (ones.gpus, ones.most) == (1, 16)


def test_a_shape_that_the_cluster_lacks_is_refused():
    command = ("train", LAPLACE, "cluster.workers=4", "cluster.min_workers=2", *GPU)
    with pytest.raises(ConfigError, match=r"workers = 4, min_workers = 2: .* pods of 8 GPUs alone"):
        sized(*command, gpu={"gpus_per_pod": [8]})
    with pytest.raises(ConfigError, match="says gpu: null"):
        sized(*command, gpu=None)
    with pytest.raises(ConfigError, match="says gpu: null"):
        sized("evaluate", LAPLACE, "--set", "cluster.gpu=true", gpu=None)


def test_tasks_take_cores():
    assert sized("prepare", LAPLACE) == Workers(2, 2, cpus=4, memory_gib=10)
    assert sized("prepare", LAPLACE, "--workers", "30").most == 8  # processes, four a pod
    assert sized("prepare", LAPLACE, "--workers", "0").most == 0  # in the driver
    assert sized("verify", LAPLACE).most == 0


def test_evaluation_takes_a_gpu_where_there_is_one_and_it_may_be_used():
    assert sized("evaluate", "/runs/a", LAPLACE).gpus == 1  # a run's config is on the cluster
    assert sized("evaluate", "/runs/a", gpu=None) == Workers(1, 1, cpus=4, memory_gib=10)
    assert sized("evaluate", LAPLACE).gpus == 0
    assert sized("evaluate", LAPLACE, "--set", "cluster.gpu=true").gpus == 1
