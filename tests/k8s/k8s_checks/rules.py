"""What a schema cannot say: each rule takes rendered manifests and returns its findings, none if all is well."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from k8s_checks.pods import Doc, Pod, name, of_kind, pods, quantity, ray_spec, strings

PROVIDED_SECRETS = {
    "landmarks-ray-token": {"auth_token"},
    "landmarks-postgres": {"password"},
    "landmarks-objects": {"access-key", "secret-key"},
}
"""Made by k8s/create-secrets.sh."""

_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def hardening(docs: list[Doc]) -> Iterator[str]:
    """The restricted pod security standard, and a read-only root file system."""
    for pod in pods(docs):
        context = pod.spec.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            yield f"{pod.where}: may run as root"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{pod.where}: no seccomp profile"
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(key):
                yield f"{pod.where}: {key}"
        if pod.spec.get("automountServiceAccountToken") is not False and pod.labels.get("landmarks/api") != (
            "allowed"
        ):
            yield f"{pod.where}: has a token of the Kubernetes API"
        for volume in pod.spec.get("volumes", []):
            if "hostPath" in volume:
                yield f"{pod.where}: hostPath {volume['name']}"
            if "persistentVolumeClaim" in volume and not context.get("fsGroup"):
                yield f"{pod.where}: a volume without fsGroup may not be writable"
        for container in pod.containers:
            where, own = f"{pod.where}: {container['name']}", container.get("securityContext", {})
            if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
                yield f"{where}: may gain privileges"
            if own.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{where}: keeps capabilities"
            if own.get("readOnlyRootFilesystem") is not True:
                yield f"{where}: may write its root file system"
            if own.get("runAsUser") == 0 or own.get("runAsNonRoot") is False:
                yield f"{where}: runs as root"


def resources(docs: list[Doc]) -> Iterator[str]:
    """Requests and limits everywhere; volumes in memory and on the node's disk within them."""
    for pod in pods(docs):
        total = dict.fromkeys(_RESOURCES, 0.0)
        for container in pod.containers:
            where, given = f"{pod.where}: {container['name']}", container.get("resources", {})
            requests, limits = given.get("requests", {}), given.get("limits", {})
            missing = [r for r in _RESOURCES if r not in requests or r not in limits]
            if missing:
                yield f"{where}: no request or limit of {', '.join(missing)}"
                continue
            for resource in _RESOURCES:
                if quantity(requests[resource]) > quantity(limits[resource]):
                    yield f"{where}: requests more {resource} than its limit"
                total[resource] += quantity(limits[resource])
            if requests.get("nvidia.com/gpu") != limits.get("nvidia.com/gpu"):
                yield f"{where}: GPUs cannot be overcommitted"
        in_memory = on_disk = 0.0
        for volume in pod.spec.get("volumes", []):
            if "emptyDir" not in volume:
                continue
            if "sizeLimit" not in volume["emptyDir"]:
                yield f"{pod.where}: emptyDir {volume['name']} without a limit"
            elif volume["emptyDir"].get("medium") == "Memory":
                in_memory += quantity(volume["emptyDir"]["sizeLimit"])
            else:
                on_disk += quantity(volume["emptyDir"]["sizeLimit"])
        if in_memory > total["memory"] / 2:
            yield f"{pod.where}: volumes in memory leave less than half of it to the processes"
        if on_disk > total["ephemeral-storage"]:
            yield f"{pod.where}: its emptyDirs hold more than its limit of ephemeral storage"


def shared_memory(docs: list[Doc]) -> Iterator[str]:
    """Ray pods have a /dev/shm in memory in which the object store fits."""
    for doc in of_kind(docs, "RayCluster", "RayJob"):
        spec = ray_spec(doc)
        assert spec is not None
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
            pod = group["template"]["spec"]
            where = f"{name(doc)} {group.get('groupName', 'head')}"
            mounts = {m["mountPath"]: m["name"] for m in pod["containers"][0]["volumeMounts"]}
            volumes = {v["name"]: v for v in pod["volumes"]}
            volume = volumes.get(mounts.get("/dev/shm", ""), {}).get("emptyDir", {})
            if volume.get("medium") != "Memory":
                yield f"{where}: /dev/shm is not in memory"
            elif int(group["rayStartParams"]["object-store-memory"]) > quantity(volume["sizeLimit"]) / 2:
                yield f"{where}: the object store fills /dev/shm"


def images(docs: list[Doc]) -> Iterator[str]:
    """Images are pinned; all nodes of a Ray cluster run the same."""
    for pod in pods(docs):
        for container in pod.containers:
            image = str(container.get("image", ""))
            tag = image.rpartition(":")[2] if ":" in image.rpartition("/")[2] else ""
            if "@sha256:" not in image and tag in {"", "latest"}:
                yield f"{pod.where}: image '{image}' is not pinned"
    for doc in of_kind(docs, "RayCluster", "RayJob"):
        used = {c["image"] for pod in pods([doc]) for c in pod.containers}
        if len(used) > 1:
            yield f"{name(doc)}: its nodes run different images: {sorted(used)}"


_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
_CREDENTIALS_IN_URL = re.compile(r"://[^/@\s:]*:(?!\$\([A-Z_]+\)@)[^/@\s]+@")


def secrets(docs: list[Doc]) -> Iterator[str]:
    """Secret values come from Secret objects, which are not among the manifests."""
    for doc in docs:
        if doc["kind"] == "Secret":
            yield f"{name(doc)}: a Secret does not belong into a repository"
        for text in strings(doc):
            if _CREDENTIALS_IN_URL.search(text):
                yield f"{name(doc)}: a password in an address"
        if doc["kind"] == "ConfigMap":
            yield from (f"{name(doc)}: {key}" for key in doc.get("data", {}) if _SECRET_NAME.search(key))
    for pod in pods(docs):
        for container in pod.containers:
            for variable in container.get("env", []):
                if _SECRET_NAME.search(variable["name"]) and "secretKeyRef" not in variable.get(
                    "valueFrom", {}
                ):
                    yield f"{pod.where}: {variable['name']} is not read from a Secret"
            arguments = " ".join(map(str, [*container.get("command", []), *container.get("args", [])]))
            if re.search(r"\$\([A-Z_]*(PASSWORD|SECRET|TOKEN)", arguments):
                yield f"{pod.where}: a secret among the arguments of a process"


def _referenced_secrets(docs: list[Doc]) -> Iterator[tuple[str, str, str]]:
    for pod in pods(docs):
        for container in pod.containers:
            for variable in container.get("env", []):
                ref = variable.get("valueFrom", {}).get("secretKeyRef")
                if ref:
                    yield pod.where, ref["name"], ref["key"]
    for doc in of_kind(docs, "RayCluster", "RayJob"):
        options = (ray_spec(doc) or {}).get("authOptions", {})
        yield name(doc), options.get("secretName", ""), "auth_token"


def references(docs: list[Doc]) -> Iterator[str]:
    """Everything that is referred to exists, or is made by the user as the README says."""
    having = {
        kind: {doc["metadata"]["name"] for doc in of_kind(docs, kind)}
        for kind in ("ConfigMap", "PersistentVolumeClaim", "ServiceAccount", "Service", "LocalQueue")
    }
    for where, secret, key in _referenced_secrets(docs):
        if key not in PROVIDED_SECRETS.get(secret, ()):
            yield f"{where}: nobody makes Secret {secret} with key {key}"
    for pod in pods(docs):
        volumes = {v["name"]: v for v in pod.spec.get("volumes", [])}
        claimed = {
            t["metadata"]["name"]
            for doc in of_kind(docs, "StatefulSet")
            if name(doc) == pod.where
            for t in doc["spec"].get("volumeClaimTemplates", [])
        }
        account = pod.spec.get("serviceAccountName")
        if account and account not in having["ServiceAccount"]:
            yield f"{pod.where}: no ServiceAccount {account}"
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claim not in having["PersistentVolumeClaim"]:
                yield f"{pod.where}: no PersistentVolumeClaim {claim}"
            source = volume.get("configMap", {})
            if source and source["name"] not in having["ConfigMap"] and not source.get("optional"):
                yield f"{pod.where}: no ConfigMap {source['name']}"
        for container in pod.containers:
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes.keys() | claimed:
                    yield f"{pod.where}: {container['name']} mounts {mount['name']}, which is no volume"
            for source in container.get("envFrom", []):
                config = source.get("configMapRef", {}).get("name")
                if config and config not in having["ConfigMap"]:
                    yield f"{pod.where}: no ConfigMap {config}"
    for doc in of_kind(docs, "Service"):
        selected = [p for p in pods(docs) if doc["spec"]["selector"].items() <= p.labels.items()]
        ports = {port.get("name") for p in selected for c in p.containers for port in c.get("ports", [])}
        for port in doc["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"{name(doc)}: no pod offers port {port['targetPort']}"
    for doc in of_kind(docs, "StatefulSet"):
        if doc["spec"]["serviceName"] not in having["Service"]:
            yield f"{name(doc)}: no Service {doc['spec']['serviceName']}"
    for doc in docs:
        queue = doc["metadata"].get("labels", {}).get("kueue.x-k8s.io/queue-name")
        if queue and queue not in having["LocalQueue"]:
            yield f"{name(doc)}: no LocalQueue {queue}"


def labels(docs: list[Doc]) -> Iterator[str]:
    """Every object can be started by itself, and workloads select their own pods."""
    starts = {"platform", "loader", "interactive", "prepare", "train", "tune", "scale", "evaluate"}
    for doc in docs:
        if doc["metadata"].get("labels", {}).get("landmarks/start") not in starts:
            yield f"{name(doc)}: no label landmarks/start: start.sh would never apply it"
        if doc["kind"] in {"Deployment", "StatefulSet"}:
            selector = doc["spec"]["selector"]["matchLabels"]
            if not selector.items() <= doc["spec"]["template"]["metadata"]["labels"].items():
                yield f"{name(doc)}: does not select its own pods"


def probes(docs: list[Doc]) -> Iterator[str]:
    """Servers have probes with patience; Ray's pods have none here, so that KubeRay adds its own."""
    for pod in pods(of_kind(docs, "Deployment", "StatefulSet", "RayCluster", "RayJob")):
        for container in pod.spec["containers"]:
            found = [k for k in ("startupProbe", "readinessProbe", "livenessProbe") if k in container]
            if pod.ray and found:
                yield f"{pod.where}: replaces KubeRay's probes"
            if not pod.ray and len(found) < 3:
                yield f"{pod.where}: lacks probes"
            for probe in found:
                if container[probe].get("timeoutSeconds", 1) < 5:
                    yield f"{pod.where}: {probe} gives up after a second"


def ray_clusters(docs: list[Doc], ray_version: str) -> Iterator[str]:
    """Versions, authentication, an idle head, and an autoscaler where the number of workers may change."""
    for doc in of_kind(docs, "RayCluster", "RayJob"):
        spec, where = ray_spec(doc) or {}, name(doc)
        if spec.get("rayVersion") != ray_version:
            yield f"{where}: rayVersion {spec.get('rayVersion')}, but constraints.txt has {ray_version}"
        if spec.get("authOptions", {}).get("mode") != "token":
            yield f"{where}: anybody may submit jobs"
        if spec["headGroupSpec"]["rayStartParams"].get("num-cpus") != "0":
            yield f"{where}: work may land on the head"
        for pod in pods([doc]):
            if pod.spec.get("restartPolicy") != "Never":
                yield f"{pod.where}: restartPolicy is not Never"
            if pod.spec.get("terminationGracePeriodSeconds", 30) < 60:
                yield f"{pod.where}: no time to finish a checkpoint"
        elastic = bool(spec.get("enableInTreeAutoscaling"))
        for group in spec["workerGroupSpecs"]:
            low, high = group["minReplicas"], group["maxReplicas"]
            if not low <= group["replicas"] <= high or high < 1:
                yield f"{where}: {group['groupName']}: replicas outside of {low}–{high}"
            if elastic != (low < high):
                yield f"{where}: {group['groupName']}: {low}–{high} workers, autoscaling {elastic}"


def ray_jobs(docs: list[Doc]) -> Iterator[str]:
    """Retries that resume, deadlines, and clusters that go away."""
    for doc in of_kind(docs, "RayJob"):
        spec, where = doc["spec"], name(doc)
        if spec.get("submissionMode") != "HTTPMode":
            yield f"{where}: not in HTTPMode"
        if not spec.get("shutdownAfterJobFinishes"):
            yield f"{where}: its cluster would stay"
        for key in (
            "backoffLimit",
            "activeDeadlineSeconds",
            "preRunningDeadlineSeconds",
            "ttlSecondsAfterFinished",
        ):
            if not spec.get(key, 0) > 0:
                yield f"{where}: no {key}"
        if "jobId" in spec:
            yield f"{where}: a retry needs a job id of its own"
        if re.search(r"[$`]|\bdate\b|uuid", spec["entrypoint"]):
            yield f"{where}: the command, and with it the run's name, is not the same at a retry"


Rule = Callable[..., Iterator[Any]]
PLAIN: tuple[Rule, ...] = (
    hardening,
    resources,
    shared_memory,
    images,
    secrets,
    references,
    labels,
    probes,
    ray_jobs,
)
"""Rules that need nothing but the manifests."""

__all__ = ["PLAIN", "PROVIDED_SECRETS", "Pod", "ray_clusters", *(rule.__name__ for rule in PLAIN)]
