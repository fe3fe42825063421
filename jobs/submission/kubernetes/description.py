"""The description of a Kubernetes cluster that jobs are submitted to: all that an experiment's config does not say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.errors import ConfigError
from pipeline.storage import is_local
from pipeline.strict import Finite, Strict
from pipeline.training.config.compose import compose

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A name of a Kubernetes object (RFC 1123)."""
Label = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]
Image = Annotated[str, Field(pattern=r"^[^\s@]+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$")]
"""With a tag or a digest: an image that changes under its name is another run."""


class ImagesConfig(Strict):
    """The project's image in its two builds; they hold the packages, and the library where the working directory does not."""

    cpu: Image = Field("landmarks:0.1.0-cpu", description="for work without GPUs")
    cuda: Image = Field("landmarks:0.1.0-cuda", description="for work on GPUs")


class StorageConfig(Strict):
    """Volume claims that every pod mounts."""

    shared: Name = Field("landmarks-shared", description="read and written by all: shards, runs, reports")
    images: Name = Field("landmarks-raw", description="images as they came, read only")


class CpuPodConfig(Finite):
    """A worker's pod without a GPU: one training worker each."""

    memory_gib: float = Field(10, ge=2, description="memory of the pod")
    spare_cpus: int = Field(
        0, ge=0, description="cores beside cluster.cpus_per_worker, for Ray and a job's small actors"
    )


class GpuPodConfig(Finite):
    """A worker's pod with GPUs."""

    gpus_per_pod: tuple[Literal[1, 8], ...] = Field(
        (1, 8),
        min_length=1,
        description="shapes that nodes can hold; a whole node's 8 are taken where cluster.workers (and min_workers) is a "
        "multiple of 8: NCCL uses NVLink inside a pod only",
    )
    memory_gib: float = Field(48, ge=8, description="memory of the pod for each GPU")
    shared_memory_gib: float = Field(8, ge=4, description="of it, /dev/shm for each GPU; at most half")
    spare_cpus: int = Field(1, ge=0, description="cores of the pod beside cluster.cpus_per_worker per worker")

    @model_validator(mode="after")
    def _half(self) -> GpuPodConfig:
        if self.shared_memory_gib > self.memory_gib / 2:
            raise ValueError(
                f"shared_memory_gib = {self.shared_memory_gib:g} is more than half of memory_gib = {self.memory_gib:g}: it "
                "counts as the pod's memory and would leave its processes too little"
            )
        return self


class TasksConfig(Finite):
    """Pods for tasks of one core each: ``prepare``, and ``evaluate`` without GPUs."""

    pods: int = Field(2, ge=1, description="of a preparation, where it does not say --workers")
    cpus: int = Field(4, ge=1, description="cores of a pod, one process each")
    memory_gib: float = Field(10, ge=2, description="memory of a pod")


class RdmaConfig(Strict):
    """InfiniBand or RoCE, as a device plugin offers it."""

    resource: Annotated[str, Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9_.-]+$")] = Field(
        description="its resource, e.g. rdma/hca_shared_devices_a"
    )
    per_pod: int = Field(1, ge=1, description="how many a worker's pod takes")


class NcclConfig(Strict):
    """How workers of a run reach each other."""

    debug: Literal["VERSION", "WARN", "INFO", "TRACE"] = Field("WARN", description="NCCL_DEBUG")
    socket_interface: Annotated[str, Field(pattern=r"^[\^=]?[A-Za-z0-9_.,-]+$")] | None = Field(
        None, description="NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME, e.g. eth0; null: found by themselves"
    )
    rdma: RdmaConfig | None = Field(None, description="null: TCP between pods")


class KueueConfig(Strict):
    """Where ``--to kueue`` queues."""

    queue: Name = Field("landmarks", description="LocalQueue of the namespace")
    run_priority: Name | None = Field(
        "landmarks-run", description="WorkloadPriorityClass of most verbs; null: none"
    )
    search_priority: Name | None = Field("landmarks-search", description="that of tune and scale")


class PodMonitorConfig(Strict):
    """Metrics for a Prometheus operator."""

    labels: dict[str, Label] = Field(
        {}, description="that the operator chooses its PodMonitors by, e.g. {release: prometheus}"
    )


class ClusterDescription(Strict):
    """One Kubernetes cluster: what its pods are made of, and how large they may be."""

    manifests: Path = Field(
        Path("base"), description="kustomization that jobs are built on, from this file's folder"
    )
    components: Path = Field(
        Path("components"), description="folder of the components gpu, autoscaling, s3, metrics"
    )
    context: str | None = Field(
        None, min_length=1, description="of kubectl's settings; null: the current one, whatever it is"
    )
    namespace: Name = Field("landmarks", description="where the platform runs, and jobs will")
    images: ImagesConfig = ImagesConfig()
    service_account: Name = Field("landmarks-ray", description="of Ray's pods")
    autoscaler_account: Name = Field("landmarks-ray-head", description="of elastic jobs' heads")
    storage: StorageConfig = StorageConfig()
    object_store: bool = Field(
        False, description="pods are given the keys of Secret landmarks-store (component s3)"
    )
    cpu: CpuPodConfig = CpuPodConfig()
    gpu: GpuPodConfig | None = Field(GpuPodConfig(), description="null: the cluster has no GPUs")
    tasks: TasksConfig = TasksConfig()
    runs_at_once: int = Field(
        8, ge=1, description="runs of tune and scale at a time, where they do not say 'concurrent'"
    )
    nccl: NcclConfig = NcclConfig()
    kueue: KueueConfig = KueueConfig()
    pod_monitor: PodMonitorConfig | None = Field(None, description="null: nothing is scraped")


def load_description(path: str) -> ClusterDescription:
    """Read a description; its folders become absolute.

    Raises:
        ConfigError: No such file, an unknown key, a value that cannot be, or a folder that is not there.
    """
    if not is_local(path) or not Path(path).is_file():
        raise ConfigError(
            f"--cluster {path}: no such file; it describes the cluster: copy k8s/cluster.yaml of the repository, with its "
            "folders base and components beside it"
        )
    found = compose(path, [], ClusterDescription)
    here = Path(path).resolve().parent
    folders = {key: (here / getattr(found, key)).resolve() for key in ("manifests", "components")}
    for key, folder in folders.items():
        wanted = folder / ("kustomization.yaml" if key == "manifests" else "gpu/kustomization.yaml")
        if not wanted.is_file():
            raise ConfigError(f"{path}: {key} = {getattr(found, key)}: there is no {wanted}")
    return found.model_copy(update=folders)
