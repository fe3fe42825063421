"""What the nodes of a Ray cluster are to each other: each examined where it is, their clocks, and the way between them."""

from __future__ import annotations

import time
from typing import Any

from jobs.cluster.fit import readable
from jobs.cluster.fleet import search_path
from jobs.cluster.session import ray_session
from jobs.health.finding import Finding, Level, judged
from pipeline.errors import ClusterError
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.words import counted

_BYTES = 64 * 2**20
_SLOW = 100 * 2**20  # bytes a second
_APART_S = 2.0
_WAIT_S = 120.0


def _examine_here(raw: dict[str, Any] | None, path: list[str]) -> tuple[list[Finding], float]:
    import sys

    from jobs.health.here import examine

    sys.path[:0] = [p for p in path if p not in sys.path]
    return examine(None if raw is None else ExperimentConfig.model_validate(raw)), time.time()


def _payload() -> bytes:
    return bytes(_BYTES)


def examine_cluster(config: ExperimentConfig | None) -> dict[str, list[Finding]]:
    """Findings by node; what concerns the cluster as a whole stands first.

    Args:
        config: Of the run that is to work; paths in it are the nodes'.

    Raises:
        ClusterError: No cluster answers, or a node does not within two minutes.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    raw = None if config is None else config.model_dump(mode="json")
    with ray_session():
        nodes = [node for node in ray.nodes() if node["Alive"]]
        found = {"cluster": [_enough(config, nodes)]}
        for node in nodes:
            at = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            options: dict[str, Any] = {"num_cpus": 0, "scheduling_strategy": at, "max_retries": 0}
            try:
                began = time.time()
                asked = ray.remote(**options)(_examine_here).remote(raw, search_path())
                findings, clock = ray.get(asked, timeout=_WAIT_S)
                apart = max(began - clock, clock - time.time(), 0.0)
                sent = ray.remote(**options)(_payload).remote()
                ray.wait([sent], timeout=_WAIT_S, fetch_local=False)
                start = time.perf_counter()
                ray.get(sent, timeout=_WAIT_S)
                rate = _BYTES / max(time.perf_counter() - start, 1e-6)
            except ray.exceptions.GetTimeoutError as error:
                raise ClusterError(
                    f"node {node['NodeManagerAddress']} did not answer in {_WAIT_S:g} s: look at its logs, or take it out"
                ) from error
            except ray.exceptions.RayError as error:
                raise readable(error) from error
            name = f"node {node['NodeManagerAddress']} ({', '.join(_resources(node))})"
            # Several nodes may share an address, on one machine.
            name = name if name not in found else f"{name} {node['NodeID'][:6]}"
            found[name] = [
                *findings,
                judged(
                    "clock",
                    f"{apart:.1f} s from here",
                    apart > _APART_S,
                    "set it by NTP: runs are told apart by time",
                ),
                judged(
                    "way to here",
                    f"{rate / 2**20:,.0f} MiB/s",
                    rate < _SLOW,
                    "gradients take this way at every step: look for a faster network between the nodes",
                ),
            ]
    return found


def _resources(node: dict[str, Any]) -> list[str]:
    return [f"{node['Resources'][kind]:g} {kind}" for kind in ("CPU", "GPU") if node["Resources"].get(kind)]


def _enough(config: ExperimentConfig | None, nodes: list[dict[str, Any]]) -> Finding:
    """Whether the nodes hold the workers that a config asks for."""
    from jobs.cluster.fleet import runs_at_once

    seen = counted(len(nodes), "node")
    if config is None:
        return Finding("nodes", seen)
    try:
        runs_at_once(config.cluster, [dict(node["Resources"]) for node in nodes], None)
    except ClusterError as error:
        return Finding("nodes", f"{seen}: {error}", Level.FAILURE, "add nodes, or ask for less")
    return Finding("nodes", f"{seen}, room for {counted(config.cluster.workers, 'worker')}")
