"""Manifests against schemas, as an API server would with strict field validation: defaults injected, unknown fields refused."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema

Doc = dict[str, Any]

_METADATA = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": r"^[a-z]([-a-z0-9]{0,45}[a-z0-9])?$"},
        "namespace": {"const": "landmarks"},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_QUANTITY = {"type": ["string", "integer"], "pattern": r"^[0-9]+(\.[0-9]+)?(m|[KMGT]i?)?$"}


def strict(schema: Any) -> Any:
    """A copy of an OpenAPI schema that refuses unknown fields, except where the schema preserves or names them freely."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, value in schema.items():
        if key == "properties":  # names of fields, one of which may be called like a keyword
            result[key] = {name: strict(field) for name, field in value.items()}
        elif key not in {"default", "enum", "required", "const"}:
            result[key] = strict(value)
        else:
            result[key] = value
    free = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if "properties" in schema and not free:
        result["additionalProperties"] = False
    return result


def with_defaults(value: Any, schema: Doc) -> Any:
    """A copy of a value in which the schema's defaults stand where nothing was said."""
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        result = {
            name: with_defaults(item, fields.get(name, schema.get("additionalProperties") or {}))
            if isinstance(fields.get(name, schema.get("additionalProperties") or {}), dict)
            else item
            for name, item in value.items()
        }
        for name, field in fields.items():
            if name not in result and "default" in field:
                result[name] = copy.deepcopy(field["default"])
        return result
    if isinstance(value, list):
        return [with_defaults(item, schema.get("items", {})) for item in value]
    return value


def _object(required: tuple[str, ...] = (), **properties: Any) -> Doc:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


def _text(*values: str) -> Doc:
    return {"enum": list(values)} if values else {"type": "string"}


def _kueue() -> dict[tuple[str, str], Doc]:
    """The fields of Kueue's v1beta2 that are used here, after its documentation; its schemas are not at hand."""
    resources = {
        "type": "array",
        "minItems": 1,
        "items": _object(("name", "nominalQuota"), name=_text(), nominalQuota=_QUANTITY),
    }
    group = _object(
        ("coveredResources", "flavors"),
        coveredResources={"type": "array", "minItems": 1, "maxItems": 64, "items": _text()},
        flavors={
            "type": "array",
            "items": _object(("name", "resources"), name=_text(), resources=resources),
        },
    )
    version = "kueue.x-k8s.io/v1beta2"
    return {
        (version, "ResourceFlavor"): {"spec": _object(nodeLabels={"type": "object"})},
        (version, "ClusterQueue"): {
            "spec": _object(
                ("resourceGroups",),
                namespaceSelector={"type": "object"},
                queueingStrategy=_text("BestEffortFIFO", "StrictFIFO"),
                preemption=_object(
                    withinClusterQueue=_text("Never", "LowerPriority", "LowerOrNewerEqualPriority"),
                    reclaimWithinCohort=_text("Never", "LowerPriority", "Any"),
                ),
                resourceGroups={"type": "array", "items": group},
            )
        },
        (version, "LocalQueue"): {"spec": _object(("clusterQueue",), clusterQueue=_text())},
        (version, "WorkloadPriorityClass"): {"value": {"type": "integer"}, "description": _text()},
    }


def _pod_monitor() -> Doc:
    """The fields of a Prometheus operator's PodMonitor that are used here, after its documentation."""
    text_map = {"type": "object", "additionalProperties": {"type": "string"}}
    endpoints = {"type": "array", "minItems": 1, "items": _object(("port",), port=_text())}
    return _object(
        ("selector", "podMetricsEndpoints"),
        selector=_object(("matchLabels",), matchLabels=text_map),
        podTargetLabels={"type": "array", "items": _text()},
        podMetricsEndpoints=endpoints,
    )


def catalogue(cluster_crd: Doc, job_crd: Doc) -> dict[tuple[str, str], Doc]:
    """Strict schema per (apiVersion, kind).

    KubeRay's schemas hold those of pods, services, volume claims and network rules too: the built-in kinds are built of these.
    """
    cluster = cluster_crd["properties"]["spec"]["properties"]
    head = cluster["headGroupSpec"]["properties"]
    template, pod = head["template"], head["template"]["properties"]["spec"]
    service = head["headService"]["properties"]["spec"]
    claim = pod["properties"]["volumes"]["items"]["properties"]["ephemeral"]["properties"][
        "volumeClaimTemplate"
    ]["properties"]["spec"]
    rules = cluster["networkPolicy"]["properties"]["head"]["properties"]
    selector = rules["ingressRules"]["items"]["properties"]["from"]["items"]["properties"]["podSelector"]
    text_map = {"type": "object", "additionalProperties": {"type": "string"}}
    claims = {
        "type": "array",
        "items": _object(
            ("metadata", "spec"), metadata=_object(("name",), name=_text(), labels=text_map), spec=claim
        ),
    }
    parts: dict[tuple[str, str], Doc] = {
        ("ray.io/v1", "RayCluster"): {"spec": cluster_crd["properties"]["spec"]},
        ("ray.io/v1", "RayJob"): {"spec": job_crd["properties"]["spec"]},
        ("v1", "Pod"): {"spec": pod},
        ("v1", "Service"): {"spec": service},
        ("v1", "PersistentVolumeClaim"): {"spec": claim},
        ("v1", "ConfigMap"): {"data": text_map, "binaryData": text_map},
        ("v1", "ServiceAccount"): {"automountServiceAccountToken": {"type": "boolean"}},
        ("v1", "Namespace"): {},
        ("apps/v1", "Deployment"): {
            "spec": _object(
                ("selector", "template"),
                replicas={"type": "integer"},
                strategy=_object(("type",), type=_text("Recreate", "RollingUpdate")),
                selector=selector,
                template=template,
            )
        },
        ("apps/v1", "StatefulSet"): {
            "spec": _object(
                ("serviceName", "selector", "template"),
                serviceName=_text(),
                replicas={"type": "integer"},
                selector=selector,
                template=template,
                volumeClaimTemplates=claims,
            )
        },
        ("networking.k8s.io/v1", "NetworkPolicy"): {
            "spec": _object(
                ("podSelector", "policyTypes"),
                podSelector=selector,
                policyTypes={"type": "array", "items": _text("Ingress", "Egress")},
                ingress=rules["ingressRules"],
                egress=rules["egressRules"],
            )
        },
        ("monitoring.coreos.com/v1", "PodMonitor"): {"spec": _pod_monitor()},
        **_kueue(),
    }
    result = {}
    for (version, kind), fields in parts.items():
        schema = _object(
            ("apiVersion", "kind", "metadata"),
            apiVersion={"const": version},
            kind={"const": kind},
            metadata=_METADATA,
            **fields,
        )
        if "spec" in fields and kind != "ResourceFlavor":
            schema["required"].append("spec")
        result[version, kind] = strict(schema)
    return result


_NOT_CHECKED = ("deletionStrategy", "managedBy", "gcsFaultToleranceOptions")
"""Fields with rules in CEL, which nothing here evaluates: not to be used without a check of their own."""


def schema_problems(docs: list[Doc], schemas: dict[tuple[str, str], Doc]) -> list[str]:
    """What an API server would refuse."""
    problems = []
    for doc in docs:
        where = f"{doc.get('kind')}/{doc.get('metadata', {}).get('name')}"
        schema = schemas.get((str(doc.get("apiVersion")), str(doc.get("kind"))))
        if schema is None:
            problems.append(f"{where}: no schema for {doc.get('apiVersion')}")
            continue
        validator = jsonschema.Draft7Validator(schema)
        for error in validator.iter_errors(with_defaults(doc, schema)):
            problems.append(f"{where}: {'.'.join(map(str, error.absolute_path))}: {error.message}")
        text = str(doc.get("spec", ""))
        problems += [f"{where}: '{name}' is not checked here" for name in _NOT_CHECKED if f"'{name}'" in text]
    return problems
