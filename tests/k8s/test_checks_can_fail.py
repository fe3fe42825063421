"""Break a manifest in memory, see the check that should notice notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from k8s_checks import rules
from k8s_checks.schemas import schema_problems, strict, with_defaults

Doc = dict[str, Any]


def _get(docs: list[Doc], kind: str, name: str) -> Doc:
    return next(d for d in docs if d["kind"] == kind and d["metadata"]["name"] == f"landmarks-{name}")


def _spec(docs: list[Doc]) -> Doc:
    return _get(docs, "RayJob", "train")["spec"]["rayClusterSpec"]


def _head(docs: list[Doc]) -> Doc:
    return _spec(docs)["headGroupSpec"]["template"]["spec"]


def _ray(docs: list[Doc]) -> Doc:
    return _head(docs)["containers"][0]


def _group(docs: list[Doc]) -> Doc:
    return _spec(docs)["workerGroupSpecs"][0]


def _mlflow(docs: list[Doc]) -> Doc:
    return _get(docs, "Deployment", "mlflow")["spec"]["template"]["spec"]["containers"][0]


def _volume(docs: list[Doc], name: str) -> Doc:
    return next(v for v in _head(docs)["volumes"] if v["name"] == name)


SCHEMA: dict[str, tuple[Callable[[list[Doc]], Any], str]] = {
    "misspelt field of a RayJob": (
        lambda d: _get(d, "RayJob", "train")["spec"].update(backofflimit=3),
        "backofflimit",
    ),
    "misspelt field deep in a pod": (lambda d: _ray(d).update(volumeMount=[]), "volumeMount"),
    "wrong type": (lambda d: _group(d).update(minReplicas="2"), "minReplicas"),
    "unknown authentication": (lambda d: _spec(d)["authOptions"].update(mode="password"), "mode"),
    "autoscaler that is not one": (lambda d: _spec(d)["autoscalerOptions"].update(version="v3"), "version"),
    "missing head": (lambda d: _spec(d).pop("headGroupSpec"), "headGroupSpec"),
    "number among Ray's start parameters": (
        lambda d: _group(d)["rayStartParams"].update({"num-cpus": 0}),
        "num-cpus",
    ),
    "quantity that is none": (
        lambda d: _ray(d)["resources"]["limits"].update(memory="4 GB"),
        "memory",
    ),
    "misspelt field of a Deployment": (lambda d: _mlflow(d).update(livenesProbe={}), "livenesProbe"),
    "misspelt field of a NetworkPolicy": (
        lambda d: _get(d, "NetworkPolicy", "ray")["spec"].update(ingres=[]),
        "ingres",
    ),
    "name of more than 47 characters": (
        lambda d: _get(d, "RayJob", "train")["metadata"].update(name="a" * 48),
        "does not match",
    ),
    "another namespace": (
        lambda d: _get(d, "RayJob", "train")["metadata"].update(namespace="default"),
        "namespace",
    ),
    "kind without a schema": (lambda d: d.append({"apiVersion": "batch/v1", "kind": "Job"}), "no schema"),
    "field whose rules are not evaluated": (
        lambda d: _get(d, "RayJob", "train")["spec"].update(managedBy="ray.io/kuberay-operator"),
        "not checked",
    ),
}


@pytest.mark.parametrize("case", SCHEMA)
def test_schema(case: str, render: Any, schemas: dict[tuple[str, str], Doc]) -> None:
    docs = render("gpu-elastic")
    change, expected = SCHEMA[case]
    change(docs)
    (problem,) = schema_problems(docs, schemas)
    assert expected in problem


def _no_container_env_from_secret(docs: list[Doc]) -> None:
    env = _mlflow(docs)["env"]
    variable = next(v for v in env if v["name"] == "AWS_SECRET_ACCESS_KEY")
    del variable["valueFrom"]
    variable["value"] = "hunter2"


RULES: dict[str, tuple[str, Callable[[list[Doc]], Any], str]] = {
    "root": ("hardening", lambda d: _head(d)["securityContext"].pop("runAsNonRoot"), "root"),
    "root by number": ("hardening", lambda d: _head(d)["securityContext"].update(runAsUser=0), "root"),
    "no seccomp": ("hardening", lambda d: _head(d)["securityContext"].pop("seccompProfile"), "seccomp"),
    "capability": (
        "hardening",
        lambda d: _ray(d)["securityContext"]["capabilities"].update(add=["SYS_PTRACE"]),
        "capabilities",
    ),
    "escalation": (
        "hardening",
        lambda d: _ray(d)["securityContext"].pop("allowPrivilegeEscalation"),
        "privileges",
    ),
    "privileged": ("hardening", lambda d: _ray(d)["securityContext"].update(privileged=True), "privileges"),
    "writable root": (
        "hardening",
        lambda d: _ray(d)["securityContext"].update(readOnlyRootFilesystem=False),
        "root file system",
    ),
    "autoscaler's own context": (
        "hardening",
        lambda d: _spec(d)["autoscalerOptions"].pop("securityContext"),
        "autoscaler",
    ),
    "host path": (
        "hardening",
        lambda d: _head(d)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
        "hostPath",
    ),
    "host network": ("hardening", lambda d: _head(d).update(hostNetwork=True), "hostNetwork"),
    "API token on a worker": (
        "hardening",
        lambda d: _group(d)["template"]["spec"].pop("automountServiceAccountToken"),
        "token",
    ),
    "no fsGroup": ("hardening", lambda d: _head(d)["securityContext"].pop("fsGroup"), "fsGroup"),
    "no limit": ("resources", lambda d: _ray(d)["resources"]["limits"].pop("memory"), "memory"),
    "no request": (
        "resources",
        lambda d: _ray(d)["resources"]["requests"].pop("ephemeral-storage"),
        "ephemeral-storage",
    ),
    "request above limit": (
        "resources",
        lambda d: _ray(d)["resources"]["requests"].update(cpu="64"),
        "more cpu",
    ),
    "unlimited emptyDir": (
        "resources",
        lambda d: _volume(d, "tmp")["emptyDir"].pop("sizeLimit"),
        "without a limit",
    ),
    "too large a /dev/shm": (
        "resources",
        lambda d: _volume(d, "shared-memory")["emptyDir"].update(sizeLimit="11Gi"),
        "memory",
    ),
    "too large a /tmp": (
        "resources",
        lambda d: _volume(d, "tmp")["emptyDir"].update(sizeLimit="99Gi"),
        "ephemeral",
    ),
    "/dev/shm on disk": (
        "shared_memory",
        lambda d: _volume(d, "shared-memory")["emptyDir"].pop("medium"),
        "/dev/shm",
    ),
    "no /dev/shm": (
        "shared_memory",
        lambda d: _ray(d).update(
            volumeMounts=[m for m in _ray(d)["volumeMounts"] if m["mountPath"] != "/dev/shm"]
        ),
        "/dev/shm",
    ),
    "object store above /dev/shm": (
        "shared_memory",
        lambda d: _group(d)["rayStartParams"].update({"object-store-memory": str(2**40)}),
        "fills",
    ),
    "latest": ("images", lambda d: _mlflow(d).update(image="landmarks:latest"), "pinned"),
    "no tag": ("images", lambda d: _mlflow(d).update(image="registry.example.org:5000/landmarks"), "pinned"),
    "two images in a cluster": ("images", lambda d: _ray(d).update(image="landmarks:0.1.0-cpu"), "different"),
    "a Secret": (
        "secrets",
        lambda d: d.append({"kind": "Secret", "metadata": {"name": "x"}, "data": {"a": "MQ=="}}),
        "repository",
    ),
    "a literal key": ("secrets", _no_container_env_from_secret, "not read from a Secret"),
    "a password in an address": (
        "secrets",
        lambda d: _mlflow(d)["env"].append(
            {"name": "MLFLOW_BACKEND_STORE_URI", "value": "postgresql://mlflow:abc@landmarks-postgres/mlflow"}
        ),
        "password in an address",
    ),
    "a password among the arguments": (
        "secrets",
        lambda d: _mlflow(d)["args"].append("--backend-store-uri=postgresql://m:$(POSTGRES_PASSWORD)@p/m"),
        "arguments",
    ),
    "a token in a ConfigMap": (
        "secrets",
        lambda d: _get(d, "ConfigMap", "settings")["data"].update(RAY_AUTH_TOKEN="abc"),
        "RAY_AUTH_TOKEN",
    ),
    "an unknown Secret": (
        "references",
        lambda d: _spec(d)["authOptions"].update(secretName="other"),
        "other",
    ),
    "an unknown claim": (
        "references",
        lambda d: _volume(d, "shared")["persistentVolumeClaim"].update(claimName="other"),
        "other",
    ),
    "an unknown ConfigMap": (
        "references",
        lambda d: _ray(d)["envFrom"][0]["configMapRef"].update(name="other"),
        "other",
    ),
    "an unknown account": ("references", lambda d: _head(d).update(serviceAccountName="other"), "other"),
    "a mount without volume": ("references", lambda d: _head(d).update(volumes=[]), "no volume"),
    "a port nobody offers": (
        "references",
        lambda d: _get(d, "Service", "mlflow")["spec"]["ports"][0].update(targetPort="https"),
        "https",
    ),
    "an object that is never applied": (
        "labels",
        lambda d: _get(d, "RayJob", "train")["metadata"].update(labels={}),
        "landmarks/start",
    ),
    "a selector beside its pods": (
        "labels",
        lambda d: _get(d, "Deployment", "mlflow")["spec"]["selector"]["matchLabels"].update(a="b"),
        "own pods",
    ),
    "no probe": ("probes", lambda d: _mlflow(d).pop("livenessProbe"), "probes"),
    "an impatient probe": ("probes", lambda d: _mlflow(d)["livenessProbe"].pop("timeoutSeconds"), "second"),
    "log streaming": (
        "ray_jobs",
        lambda d: _get(d, "RayJob", "train")["spec"].update(submissionMode="K8sJobMode"),
        "HTTPMode",
    ),
    "a cluster that stays": (
        "ray_jobs",
        lambda d: _get(d, "RayJob", "train")["spec"].pop("shutdownAfterJobFinishes"),
        "stay",
    ),
    "no deadline": (
        "ray_jobs",
        lambda d: _get(d, "RayJob", "train")["spec"].pop("activeDeadlineSeconds"),
        "activeDeadline",
    ),
    "no retry": ("ray_jobs", lambda d: _get(d, "RayJob", "train")["spec"].update(backoffLimit=0), "backoff"),
    "a name with the time in it": (
        "ray_jobs",
        lambda d: _get(d, "RayJob", "train")["spec"].update(entrypoint="landmarks train c name=$(date +%s)"),
        "retry",
    ),
    "another Ray": ("ray_clusters", lambda d: _spec(d).update(rayVersion="2.59.0"), "2.59.0"),
    "no authentication": ("ray_clusters", lambda d: _spec(d).pop("authOptions"), "anybody"),
    "work on the head": (
        "ray_clusters",
        lambda d: _spec(d)["headGroupSpec"]["rayStartParams"].pop("num-cpus"),
        "head",
    ),
    "restarted containers": (
        "ray_clusters",
        lambda d: _group(d)["template"]["spec"].update(restartPolicy="Always"),
        "restartPolicy",
    ),
    "a range without autoscaler": (
        "ray_clusters",
        lambda d: _spec(d).pop("enableInTreeAutoscaling"),
        "autoscaling",
    ),
    "replicas outside of the range": ("ray_clusters", lambda d: _group(d).update(replicas=9), "outside"),
    "no grace": (
        "ray_clusters",
        lambda d: _head(d).pop("terminationGracePeriodSeconds"),
        "checkpoint",
    ),
}


@pytest.mark.parametrize("case", RULES)
def test_rule(case: str, render: Any) -> None:
    docs = render("gpu-elastic")
    name, change, expected = RULES[case]
    change(docs)
    more = ("2.60.0",) if name == "ray_clusters" else ()
    findings = list(getattr(rules, name)(docs, *more))
    assert any(expected in finding for finding in findings), findings


def test_defaults_are_injected_below_lists() -> None:
    schema = strict(
        {
            "type": "object",
            "properties": {
                "groups": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"count": {"default": 1}, "name": {}}},
                },
                "free": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }
    )
    given = {"groups": [{"name": "a"}, {"count": 2}], "free": {"any": "thing"}}
    assert with_defaults(given, schema) == {
        "groups": [{"name": "a", "count": 1}, {"count": 2}],
        "free": {"any": "thing"},
    }
    assert schema["additionalProperties"] is False
    assert schema["properties"]["free"]["additionalProperties"] == {"type": "string"}
