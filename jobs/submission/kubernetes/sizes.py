"""The size of a job's cluster: how many worker pods it needs, and how large each is. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.settings import experiment
from jobs.submission.kubernetes.description import ClusterDescription, GpuPodConfig
from pipeline.errors import ConfigError
from pipeline.training.config.cluster import ClusterConfig

_WHOLE_NODE = 8


@dataclass(frozen=True)
class Workers:
    """The worker pods of a job; all are alike.

    Attributes:
        least: Pods it starts with.
        most: Pods it may grow to; more than ``least`` only where Ray's autoscaler works.
        cpus: Cores of a pod.
        memory_gib: Memory of a pod, GiB.
        gpus: GPUs of a pod.
        shared_memory_gib: Of its memory, /dev/shm; None as the manifests have it.
        together: Whether workers of one run average gradients across pods.
    """

    least: int
    most: int
    cpus: int
    memory_gib: float
    gpus: int = 0
    shared_memory_gib: float | None = None
    together: bool = False

    @property
    def elastic(self) -> bool:
        """Whether the number of pods may change."""
        return self.least < self.most


def workers_of(verb: str, parameters: Mapping[str, Any], description: ClusterDescription) -> Workers:
    """The worker pods that a command needs.

    Args:
        verb: One of ``jobs.submission.request.VERBS``.
        parameters: Its own, as the command line parses them; its config must be valid.
        description: Of the cluster.

    Raises:
        ConfigError: The cluster has no pod for what the config asks for.
    """
    if verb == "verify":
        return _tasks(0, description)  # works in its driver, on the head
    if verb == "prepare":
        processes = parameters.get("workers")
        tasks = description.tasks
        return _tasks(tasks.pods if processes is None else math.ceil(processes / tasks.cpus), description)
    if verb == "evaluate":
        return _evaluation(parameters, description)
    config = experiment(parameters["config"], parameters.get("overrides") or [])
    if verb == "train":
        return _training(config.cluster, 1, description)
    runs = 1
    if verb == "tune" and config.tune is not None:
        runs = min(config.tune.concurrent or description.runs_at_once, config.tune.trials)
    elif verb == "scale" and config.scale is not None:
        runs = config.scale.concurrent or description.runs_at_once
    # They count at their start what the cluster holds: it keeps one size.
    return _training(config.cluster.model_copy(update={"min_workers": None}), runs, description)


def _tasks(pods: int, description: ClusterDescription) -> Workers:
    return Workers(pods, pods, description.tasks.cpus, description.tasks.memory_gib)


def _evaluation(parameters: Mapping[str, Any], description: ClusterDescription) -> Workers:
    """One pod: with a GPU where there are any, unless the first model's config, which decides, works without."""
    first, wanted = parameters["runs"][0], description.gpu is not None
    if first.endswith((".yaml", ".yml")):
        wanted = experiment(first, parameters.get("override") or []).cluster.gpu
    if not wanted:
        return _tasks(1, description)
    gpu = _gpu_pods(description)
    # A quarter of a GPU and a core for each task: see jobs.cluster.predict.
    return Workers(1, 1, 4 + gpu.spare_cpus, gpu.memory_gib, 1, gpu.shared_memory_gib)


def _training(cluster: ClusterConfig, runs: int, description: ClusterDescription) -> Workers:
    """Pods for some runs at a time; none lies partly on a pod's cores and partly on another's."""
    wanted = cluster.workers * runs
    if not cluster.gpu:
        pod = description.cpu
        cpus = cluster.cpus_per_worker + pod.spare_cpus
        least = cluster.min_workers or wanted
        return Workers(least, wanted, cpus, pod.memory_gib, together=cluster.workers > 1)
    shape = _gpu_pods(description)
    gpus = _gpus_per_pod(cluster, shape.gpus_per_pod)
    in_pod = gpus * int(1 / cluster.gpus_per_worker + 1e-6)
    most, least = (math.ceil(count / in_pod) for count in (wanted, cluster.min_workers or wanted))
    return Workers(
        least,
        most,
        min(in_pod, wanted) * cluster.cpus_per_worker + shape.spare_cpus,
        gpus * shape.memory_gib,
        gpus,
        gpus * shape.shared_memory_gib,
        together=cluster.workers > 1,
    )


def _gpu_pods(description: ClusterDescription) -> GpuPodConfig:
    if description.gpu is None:
        raise ConfigError(
            "cluster.gpu is true, but the cluster's description says gpu: null: set cluster.gpu=false, or describe its GPU pods"
        )
    return description.gpu


def _gpus_per_pod(cluster: ClusterConfig, shapes: tuple[int, ...]) -> int:
    counts = [cluster.workers, *([cluster.min_workers] if cluster.min_workers else [])]
    whole = all(count % _WHOLE_NODE == 0 for count in counts)
    if whole and _WHOLE_NODE in shapes:
        return _WHOLE_NODE
    if 1 in shapes:
        return 1
    raise ConfigError(
        f"cluster.workers = {cluster.workers}"
        + (f", min_workers = {cluster.min_workers}" if cluster.min_workers else "")
        + ": the cluster's description has pods of 8 GPUs alone (gpu.gpus_per_pod), and no pod may lie half idle: use multiples "
        "of 8, or allow pods of 1"
    )
