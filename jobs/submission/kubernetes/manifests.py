"""The objects of a job: the repository's own RayJob of its verb, with this job's command, package and size."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from jobs.submission.kubernetes.archive import ADDRESS, FOLDER, config_map
from jobs.submission.kubernetes.description import ClusterDescription
from jobs.submission.kubernetes.kubectl import Doc, build
from jobs.submission.kubernetes.sizes import Workers
from pipeline.errors import ConfigError

LABEL = "landmarks/job"
"""Of a job's objects and pods; its value is the job's name."""
SETTINGS = "landmarks-settings"
"""The platform's ConfigMap that is the environment of every Ray pod."""
_TEMPLATES = {"selftrain": "train", "verify": "evaluate"}
"""Verbs whose retries and deadlines are those of another one's RayJob."""
_SEARCHES = frozenset({"tune", "scale"})
_LONGEST = 47
"""KubeRay's limit: it makes names of services and clusters from a RayJob's."""
_CLAIMS = {"landmarks-shared": "shared", "landmarks-raw": "images"}
"""The manifests' volume claims → their fields in the description."""


@dataclass(frozen=True)
class Job:
    """A checked command on its way to Kubernetes.

    Attributes:
        name: Of its objects; see ``object_name``.
        verb: What it runs.
        entrypoint: Its command line.
        variables: Environment of its processes.
        metadata: What Ray shows of it.
        package: The working directory, packed.
        workers: Its cluster's size.
        queued: Whether Kueue decides when it starts.
    """

    name: str
    verb: str
    entrypoint: str
    variables: dict[str, str]
    metadata: dict[str, str]
    package: bytes
    workers: Workers
    queued: bool


def object_name(identity: str) -> str:
    """A job id as a name that Kubernetes and KubeRay take; one that had to be changed is told from others by a hash."""
    plain = re.sub(r"[^a-z0-9]+", "-", identity.lower()).strip("-")
    if plain == identity and plain[0].isalpha() and len(plain) <= _LONGEST:
        return plain
    mark = hashlib.sha256(identity.encode()).hexdigest()[:8]
    start = plain if plain[:1].isalpha() else f"job-{plain}"
    return f"{start[: _LONGEST - 1 - len(mark)].rstrip('-')}-{mark}"


def settings_of(description: ClusterDescription) -> dict[str, str]:
    """The environment that the platform gives every Ray pod.

    Raises:
        ClusterError: The manifests cannot be built.
    """
    docs = build(description.manifests, _with_store(description), description.namespace)
    return dict(_one(docs, "ConfigMap", SETTINGS, description)["data"])


def render(job: Job, description: ClusterDescription) -> list[Doc]:
    """The objects of a job, in the order in which they are to be made.

    Raises:
        ClusterError: The manifests cannot be built.
        ConfigError: They have no RayJob for the verb; or the job is elastic, and queued.
    """
    if job.queued and job.workers.elastic:
        raise ConfigError(
            "cluster.min_workers is set, but Kueue admits a job as a whole, at one size: give cluster.min_workers=null, or "
            "submit --to kubernetes"
        )
    components = [
        *([description.components / "gpu"] if job.workers.gpus else []),
        *([description.components / "autoscaling"] if job.workers.elastic else []),
        *_with_store(description),
        *([description.components / "metrics"] if description.pod_monitor is not None else []),
    ]
    docs = build(description.manifests, components, description.namespace)
    rayjob = _one(docs, "RayJob", f"landmarks-{_TEMPLATES.get(job.verb, job.verb)}", description)
    _fill(rayjob, job, description)
    package = config_map(job.name, description.namespace, job.package)
    package["metadata"]["labels"] = {LABEL: job.name}
    return [*_monitoring(docs, description), package, rayjob]


def mounts(rayjob: Doc) -> list[str]:
    """Folders that the driver's pod may write, on volumes that outlive it."""
    pod = rayjob["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    passing = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    return [
        mount["mountPath"]
        for mount in pod["containers"][0]["volumeMounts"]
        if not mount.get("readOnly") and mount["name"] not in passing
    ]


def _with_store(description: ClusterDescription) -> list[Path]:
    return [description.components / "s3"] if description.object_store else []


def _one(docs: list[Doc], kind: str, name: str, description: ClusterDescription) -> Doc:
    for doc in docs:
        if doc["kind"] == kind and doc["metadata"]["name"] == name:
            return doc
    raise ConfigError(
        f"{description.manifests}: has no {kind} {name}; does it have k8s/base as its resource?"
    )


def _monitoring(docs: list[Doc], description: ClusterDescription) -> Iterator[Doc]:
    if description.pod_monitor is None:
        return
    monitor = _one(docs, "PodMonitor", "landmarks-ray", description)
    monitor["metadata"]["labels"] |= description.pod_monitor.labels
    yield monitor
    yield _one(docs, "NetworkPolicy", "landmarks-metrics", description)


def _fill(rayjob: Doc, job: Job, description: ClusterDescription) -> None:
    rayjob["metadata"] |= {"name": job.name, "labels": {LABEL: job.name}}
    spec = rayjob["spec"]
    spec["entrypoint"] = job.entrypoint
    runtime = {"working_dir": ADDRESS, "env_vars": job.variables}
    spec["runtimeEnvYAML"] = yaml.safe_dump(runtime, sort_keys=False)
    spec["metadata"] = job.metadata
    if job.queued:
        queue = description.kueue
        priority = queue.search_priority if job.verb in _SEARCHES else queue.run_priority
        rayjob["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = queue.queue
        if priority is not None:
            rayjob["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] = priority
        # As Kueue itself would say; where it does not look after RayJobs, the job waits instead of jumping the queue.
        spec["suspend"] = True
    cluster, workers = spec["rayClusterSpec"], job.workers
    _fill_pod(cluster["headGroupSpec"]["template"], job, description)
    if workers.elastic:
        cluster["headGroupSpec"]["template"]["spec"]["serviceAccountName"] = description.autoscaler_account
    group, *others = cluster["workerGroupSpecs"]
    if others:
        raise ConfigError(
            f"{description.manifests}: Ray's pods are to be of one worker group, and there are more"
        )
    _fill_pod(group["template"], job, description)
    _resize(group["template"]["spec"], workers, description)
    group |= {"replicas": workers.least, "minReplicas": workers.least, "maxReplicas": workers.most}
    cluster["workerGroupSpecs"] = [group] if workers.most else []


def _fill_pod(template: Doc, job: Job, description: ClusterDescription) -> None:
    template["metadata"]["labels"][LABEL] = job.name
    pod = template["spec"]
    pod["serviceAccountName"] = description.service_account
    for volume in pod["volumes"]:
        claim = volume.get("persistentVolumeClaim")
        if claim is not None and claim["claimName"] in _CLAIMS:
            claim["claimName"] = getattr(description.storage, _CLAIMS[claim["claimName"]])
    pod["volumes"].append({"name": "submitted", "configMap": {"name": job.name}})
    container = pod["containers"][0]
    container["image"] = description.images.cuda if job.workers.gpus else description.images.cpu
    container["volumeMounts"].append({"name": "submitted", "mountPath": FOLDER, "readOnly": True})


def _resize(pod: Doc, workers: Workers, description: ClusterDescription) -> None:
    """Give a worker's pod its resources, and what its workers need to reach each other."""
    nccl, container = description.nccl, pod["containers"][0]
    asked = {"cpu": str(workers.cpus), "memory": f"{workers.memory_gib:g}Gi"}
    if workers.gpus:
        asked["nvidia.com/gpu"] = str(workers.gpus)
        container["env"].append({"name": "NCCL_DEBUG", "value": nccl.debug})
        if nccl.rdma is not None and workers.together:
            asked[nccl.rdma.resource] = str(nccl.rdma.per_pod)
    for volume in pod["volumes"]:
        if volume["name"] == "shared-memory" and workers.shared_memory_gib is not None:
            volume["emptyDir"]["sizeLimit"] = f"{workers.shared_memory_gib:g}Gi"
    for kind in ("requests", "limits"):
        container["resources"][kind] |= asked
    if nccl.socket_interface is not None:
        for library in ("NCCL", "GLOO"):
            container["env"].append({"name": f"{library}_SOCKET_IFNAME", "value": nccl.socket_interface})
