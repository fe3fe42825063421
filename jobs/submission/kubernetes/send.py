"""``landmarks submit --to kubernetes|kueue``: checks the command, renders its objects, and applies or prints them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from jobs.submission.checked import Submission, check_submission
from jobs.submission.client import environment
from jobs.submission.following import INTERRUPTED, note
from jobs.submission.identity import Existing, check_same
from jobs.submission.kubernetes.archive import archive
from jobs.submission.kubernetes.description import ClusterDescription, load_description
from jobs.submission.kubernetes.kubectl import Cluster, Doc, to_yaml
from jobs.submission.kubernetes.manifests import (
    LABEL,
    SETTINGS,
    Job,
    mounts,
    object_name,
    render,
    settings_of,
)
from jobs.submission.kubernetes.sizes import Workers, workers_of
from jobs.submission.request import Parser
from jobs.submission.secrets import refuse_tokens
from jobs.submission.variables import TRACKING_VARIABLE, asked_for, root_variable, ships_library
from pipeline.errors import ClusterError, ConfigError
from pipeline.storage import ROOT_VARIABLE, is_local

_RAYJOB = "rayjobs.ray.io"
_OVER = frozenset({"Complete", "Failed", "ValidationFailed"})
_POLL_S = 10.0
_GIVE_UP_S = 900.0


def submit_to_kubernetes(
    verb: str,
    arguments: Sequence[str],
    *,
    queued: bool,
    cluster: str,
    job_id: str | None,
    root: str | None,
    env: Sequence[str],
    render_only: bool,
    wait: bool,
    parse: Parser,
) -> int:
    """Run a verb as a RayJob; the same id is the same run.

    Everything that can be wrong with the command is found before anything is sent.

    Args:
        verb: What to run.
        arguments: The verb's own.
        queued: Whether Kueue decides when it starts.
        cluster: File that describes the cluster.
        job_id: The job's id; default is VERB-NAME.
        root: Where relative paths start on the cluster; default is the platform's setting.
        env: NAME=VALUE for the job.
        render_only: Print the objects and send nothing.
        wait: Wait for the job's end.
        parse: The command line's way from a verb's arguments to its parameters.

    Returns:
        Exit code: 0 if the job succeeded (or, without ``wait``, was sent), 1 if it failed, 130 if it was left to itself.

    Raises:
        ConfigError: The command, its config, its environment, its package or the description cannot work.
        ClusterError: kubectl is missing or refuses, or the id belongs to another job.
    """
    description = load_description(cluster)
    # As the pods will see it: the platform's settings, not this machine's.
    variables, settings = asked_for(env), settings_of(description)
    seen: dict[str, str | None] = {TRACKING_VARIABLE: None, **settings, **variables}
    submission = check_submission(
        verb,
        arguments,
        parse,
        job_id=job_id,
        variables=variables,
        seen=seen,
        root=lambda relative: root_variable(root or settings.get(ROOT_VARIABLE), "", relative),
    )
    request = submission.request
    with environment(seen):
        workers = workers_of(verb, parse(verb, request.arguments), description)
    job = Job(
        name=object_name(submission.identity),
        verb=verb,
        entrypoint=request.entrypoint,
        variables=submission.variables,
        metadata=submission.metadata,
        package=archive(Path.cwd(), submission.files),
        workers=workers,
        queued=queued,
    )
    docs = render(job, description)
    _check_paths(submission, description, docs[-1])
    refuse_tokens([to_yaml([doc for doc in docs if doc["kind"] != "ConfigMap"])])
    if render_only:
        print(to_yaml(docs), end="")
        return 0
    server = Cluster(description.namespace, description.context)
    _check_platform(server, settings)
    _send(server, job, docs, submission)
    if wait:
        return _follow(server, job.name)
    note(f"watch it with: {server.typed('get', _RAYJOB, job.name, '--watch')}")
    return 0


def _check_paths(submission: Submission, description: ClusterDescription, rendered: Doc) -> None:
    """Relative paths must start on a volume that stays, and object stores be within reach."""
    remote = submission.request.remote
    if remote and not description.object_store:
        raise ConfigError(
            f"{'; '.join(remote[:6])}: the pods have neither the keys nor a way to an object store: start the platform of "
            "overlay gpu-s3, and say object_store: true in the cluster's description"
        )
    root, mounted = submission.variables.get(ROOT_VARIABLE, ""), mounts(rendered)
    if root and is_local(root) and not any(Path(root).is_relative_to(folder) for folder in mounted):
        raise ConfigError(
            f"{ROOT_VARIABLE} = {root}: no volume that outlives the pods holds it; they mount {', '.join(mounted)}"
        )


def _check_platform(server: Cluster, settings: dict[str, str]) -> None:
    """The command was checked with the manifests' settings: the pods' must be there, and should be the same."""
    found = server.find("configmap", SETTINGS)
    if found is None:
        raise ClusterError(
            f"namespace {server.namespace} has no ConfigMap {SETTINGS}: start storage, tracking and network rules there first, "
            "k8s/start.sh OVERLAY platform"
        )
    held = found.get("data", {})
    other = sorted(key for key in settings | held if settings.get(key) != held.get(key))
    if other:
        note(
            f"ConfigMap {SETTINGS} of the cluster is not as the manifests have it ({', '.join(other)}); jobs get the cluster's. "
            "Let 'manifests' of the description name what the platform was started from"
        )


def _send(server: Cluster, job: Job, docs: list[Doc], submission: Submission) -> None:
    """Apply the objects, unless the very job runs already."""
    found = server.find(_RAYJOB, job.name)
    if found is not None:
        state = _state(found)
        if state not in _OVER:
            existing = Existing(state, found["spec"]["entrypoint"], found["spec"].get("metadata") or {})
            stop = server.typed("delete", _RAYJOB, job.name)
            check_same(existing, submission.request, submission.identity, stop)
            note(f"{job.name} is {state} already in namespace {server.namespace}")
            return
        note(f"{job.name} exists and is {state}: submitted again, it goes on where it was")
        server.delete(_RAYJOB, job.name)
    note(f"package: {len(job.package) / 2**20:.2f} MiB compressed, of {Path.cwd()}")
    if not ships_library():
        note("this folder holds no copy of the library: the image's runs")
    note(f"worker pods: {_told(job.workers)}")
    server.apply(docs)
    clear = server.typed("delete", "rayjobs,configmaps", "--selector", f"{LABEL}={job.name}")
    note(f"submitted {job.name} to namespace {server.namespace}; stop it, and clear it away, with: {clear}")


def _told(workers: Workers) -> str:
    count = f"{workers.least} to {workers.most}" if workers.elastic else str(workers.most)
    return f"{count}, each of CPU {workers.cpus}, memory {workers.memory_gib:g} GiB, GPU {workers.gpus}"


def _state(found: Doc) -> str:
    return str(found.get("status", {}).get("jobDeploymentStatus") or "not started yet")


def _follow(server: Cluster, name: str) -> int:
    """Say how the job stands whenever that changes, until it is over."""
    said, answered = "", time.monotonic()
    try:
        while True:
            try:
                found = server.find(_RAYJOB, name)
            except ClusterError:
                if time.monotonic() - answered > _GIVE_UP_S:
                    raise
                time.sleep(_POLL_S)
                continue
            answered = time.monotonic()
            if found is None:
                raise ClusterError(
                    f"RayJob {name} is gone from namespace {server.namespace}: somebody has deleted it"
                )
            state, status = _state(found), found.get("status", {})
            if state != said:
                note(f"{name}: {state}")
                said = state
            if state in _OVER:
                succeeded = status.get("jobStatus") == "SUCCEEDED"
                if not succeeded:
                    note(f"{name}: {status.get('reason', '')} {status.get('message', '')}".rstrip())
                return 0 if succeeded else 1
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        note(f"{name} goes on by itself; the same command follows it again")
        return INTERRUPTED
