"""What ``landmarks submit --to kubernetes|kueue`` renders: as strict as the overlays are, and as large as the config asks for."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from k8s_checks import rules
from k8s_checks.network import End, may_connect
from k8s_checks.pods import of_kind, pods, quantity
from k8s_checks.schemas import schema_problems

from jobs.cli import parse
from jobs.submission.kubernetes.description import ClusterDescription
from jobs.submission.kubernetes.send import submit_to_kubernetes
from jobs.submission.kubernetes.sizes import workers_of
from pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
Doc = dict[str, Any]
Submit = Callable[..., list[Doc]]
LAPLACE = "configs/laplace_300w.yaml"
GPU = ("cluster.gpu=true", "cluster.cpus_per_worker=7")
CASES: dict[str, tuple[str, ...]] = {
    "prepare": ("prepare", LAPLACE),
    "verify": ("verify", LAPLACE),
    "train": ("train", LAPLACE, "cluster.workers=3", "cluster.cpus_per_worker=4"),
    "train on whole nodes": ("train", LAPLACE, "cluster.workers=16", *GPU),
    "elastic": ("train", LAPLACE, "cluster.workers=8", "cluster.min_workers=2", *GPU),
    "tune": ("tune", "configs/tune_300w.yaml", *GPU, "cluster.gpus_per_worker=0.5"),
    "evaluate": ("evaluate", "/mnt/landmarks/outputs/runs/a"),
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory of configs alone: the library is the image's, and packing takes no time."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def submit(tmp_path: Path, capsys: pytest.CaptureFixture[str], render: Any) -> Submit:
    """The objects of a command; ``described`` changes k8s/cluster.yaml."""

    def run(*command: str, to: str = "kubernetes", **described: Any) -> list[Doc]:
        raw = yaml.safe_load((ROOT / "k8s" / "cluster.yaml").read_text(encoding="utf-8")) | described
        folders = {key: str(ROOT / "k8s" / raw[key]) for key in ("manifests", "components")}
        (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(raw | folders))
        code = submit_to_kubernetes(
            command[0],
            command[1:],
            queued=to == "kueue",
            cluster="cluster.yaml",
            job_id=None,
            root=None,
            env=["PURPOSE=test"],
            render_only=True,
            wait=True,
            parse=parse,
        )
        assert code == 0
        return list(yaml.load_all(capsys.readouterr().out, Loader=yaml.CSafeLoader))

    return run


def _group(docs: list[Doc]) -> Doc:
    (job,) = of_kind(docs, "RayJob")
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    return dict(group)


def _limits(docs: list[Doc]) -> dict[str, float]:
    given = _group(docs)["template"]["spec"]["containers"][0]["resources"]
    assert given["limits"].keys() == given["requests"].keys()
    return {name: quantity(amount) for name, amount in given["limits"].items()}


@pytest.mark.parametrize("case", CASES)
def test_size_is_right_and_every_rule_of_the_overlays_holds(
    case: str, submit: Submit, render: Any, schemas: Any
) -> None:
    docs = submit(*CASES[case])
    verb, *arguments = CASES[case]
    asked = workers_of(verb, parse(verb, arguments), ClusterDescription())
    (job,) = of_kind(docs, "RayJob")
    assert len(job["spec"]["rayClusterSpec"]["workerGroupSpecs"]) == (asked.most > 0)
    if asked.most:
        group, limits = _group(docs), _limits(docs)
        assert [group[f"{key}eplicas"] for key in ("r", "minR", "maxR")] == [
            asked.least,
            asked.least,
            asked.most,
        ]
        assert (limits["cpu"], limits["memory"]) == (asked.cpus, asked.memory_gib * 2**30)
        assert limits.get("nvidia.com/gpu", 0) == asked.gpus
        if asked.gpus:
            (shared,) = [v for v in group["template"]["spec"]["volumes"] if v["name"] == "shared-memory"]
            assert quantity(shared["emptyDir"]["sizeLimit"]) == asked.gpus * 8 * 2**30  # of 48
    assert schema_problems(docs, schemas) == []
    version = of_kind(render("gpu"), "RayCluster")[0]["spec"]["rayVersion"]
    assert list(rules.ray_clusters(docs, version)) == []
    for rule in rules.PLAIN:
        if rule is rules.references:
            platform = [
                d for d in render("gpu-elastic") if d["metadata"]["labels"]["landmarks/start"] == "platform"
            ]
            assert list(rule([*platform, *docs])) == []
        elif rule is not rules.labels:  # which are start.sh's
            assert list(rule(docs)) == [], rule.__name__


def test_an_elastic_job_is_not_queued(submit: Submit) -> None:
    with pytest.raises(ConfigError, match="Kueue admits a job as a whole"):
        submit(*CASES["elastic"], to="kueue")


@pytest.mark.parametrize("overlay", ["gpu", "gpu-elastic", "gpu-s3", "kueue"])
def test_description_makes_the_overlays_own_training(overlay: str, submit: Submit, render: Any) -> None:
    (theirs,) = (d for d in of_kind(render(overlay), "RayJob") if d["metadata"]["name"] == "landmarks-train")
    command = shlex.split(theirs["spec"]["entrypoint"])[1:]
    docs = submit(
        *command, to="kueue" if overlay == "kueue" else "kubernetes", object_store=overlay == "gpu-s3"
    )
    (ours,) = of_kind(docs, "RayJob")
    queue = {k: v for k, v in theirs["metadata"]["labels"].items() if "kueue" in k}
    assert ours["metadata"]["labels"] == queue | {"landmarks/job": "train-laplace-300w"}
    assert ours["spec"].pop("suspend", False) == (overlay == "kueue")
    for key in ("runtimeEnvYAML", "metadata"):
        ours["spec"].pop(key)
    assert shlex.split(ours["spec"].pop("entrypoint")) == ["python", "-m", "jobs.cli", *command]
    theirs["spec"].pop("entrypoint")
    for pod in pods([ours]):  # what a submitted job has on top
        assert pod.labels["landmarks/job"] == ours["metadata"]["name"]
        assert pod.spec["volumes"].pop()["configMap"]["name"] == ours["metadata"]["name"]
        assert pod.spec["containers"][0]["volumeMounts"].pop()["name"] == "submitted"
        if pod.ray == "worker":
            assert pod.spec["containers"][0]["env"].pop() == {"name": "NCCL_DEBUG", "value": "WARN"}
    spec = ours["spec"]["rayClusterSpec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        del group["template"]["metadata"]["labels"]["landmarks/job"]
    assert ours["spec"] == theirs["spec"]


def test_searches_wait_behind_runs(submit: Submit) -> None:
    for case, priority in {"tune": "landmarks-search", "prepare": "landmarks-run"}.items():
        (job,) = of_kind(submit(*CASES[case], to="kueue"), "RayJob")
        assert job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == priority
    kueue = {"queue": "team-a", "run_priority": None}
    (job,) = of_kind(submit(*CASES["prepare"], to="kueue", kueue=kueue), "RayJob")
    assert job["spec"]["suspend"] is True
    assert {k: v for k, v in job["metadata"]["labels"].items() if "kueue" in k} == {
        "kueue.x-k8s.io/queue-name": "team-a"
    }


def test_everything_that_names_the_cluster_comes_from_its_description(submit: Submit, schemas: Any) -> None:
    docs = submit(
        *CASES["elastic"],
        namespace="faces",
        images={"cpu": "r.example/l:1-cpu", "cuda": "r.example/l:1-cuda"},
        service_account="robot",
        autoscaler_account="robot-head",
        storage={"shared": "nfs", "images": "raw"},
        nccl={"debug": "INFO", "socket_interface": "eth0", "rdma": {"resource": "rdma/hca", "per_pod": 8}},
        pod_monitor={"labels": {"release": "prometheus"}},
    )
    assert {doc["metadata"]["namespace"] for doc in docs} == {"faces"}
    head, worker = pods(docs)
    assert (head.spec["serviceAccountName"], worker.spec["serviceAccountName"]) == ("robot-head", "robot")
    for pod in (head, worker):
        assert pod.spec["containers"][0]["image"] == "r.example/l:1-cuda"
        claims = {
            v["name"]: v["persistentVolumeClaim"]["claimName"]
            for v in pod.spec["volumes"]
            if "persistentVolumeClaim" in v
        }
        assert claims == {"shared": "nfs", "raw": "raw"}
    variables = {v["name"]: v["value"] for v in worker.spec["containers"][0]["env"]}
    assert variables["NCCL_DEBUG"] == "INFO"
    assert variables["NCCL_SOCKET_IFNAME"] == variables["GLOO_SOCKET_IFNAME"] == "eth0"
    assert _limits(docs)["rdma/hca"] == 8
    (monitor,) = of_kind(docs, "PodMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    for doc in docs:
        doc["metadata"]["namespace"] = "landmarks"  # the schemas know no other
    assert schema_problems(docs, schemas) == []
    for pod in (head, worker):
        assert monitor["spec"]["selector"]["matchLabels"].items() <= pod.labels.items()


def test_prometheus_reaches_the_pods_it_is_told_to_read(submit: Submit, render: Any) -> None:
    docs = [*render("gpu"), *of_kind(submit(*CASES["prepare"], pod_monitor={}), "NetworkPolicy")]
    prometheus = End({}, "monitoring", (("landmarks/access", "metrics"),))
    ray = End({"landmarks/role": "ray"})
    assert may_connect(docs, prometheus, ray, 8080)
    assert not may_connect(docs, prometheus, ray, 6379)
    assert not may_connect(docs, End({}, "monitoring"), ray, 8080)
    assert not may_connect(render("gpu"), prometheus, ray, 8080)


def test_secrets_of_this_machine_stay_here(
    submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "swordfish")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:swordfish@mlflow")
    (tmp_path / ".env").write_text("swordfish")
    docs = submit(*CASES["train"])
    assert "swordfish" not in yaml.safe_dump(docs)
    # Runs are tracked where the platform says.
    (job,) = of_kind(docs, "RayJob")
    assert job["spec"]["metadata"]["landmarks.tracking"] == "http://landmarks-mlflow:5000"
    variables = yaml.safe_load(job["spec"]["runtimeEnvYAML"])["env_vars"]
    assert "MLFLOW_TRACKING_URI" not in variables
    assert variables["PURPOSE"] == "test"
    with pytest.raises(ConfigError, match="authentication token"):
        submit(*CASES["train"], "name=swordfish")


def test_what_ray_refuses_is_refused_here_too(submit: Submit, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cluster\.worker"):
        submit("train", LAPLACE, "cluster.worker=2")
    with pytest.raises(ConfigError, match="No such option"):
        submit("train", LAPLACE, "--fast")
    (tmp_path / ".landmarksignore").write_text("/configs/pieces/\n")
    with pytest.raises(ConfigError, match="not in the package"):
        submit(*CASES["train"])
