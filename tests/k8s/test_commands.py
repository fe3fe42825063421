"""Every command in the manifests against the real command line and the real configs; nothing is run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from k8s_checks.pods import of_kind, pods, ray_spec

from jobs.cli import app
from jobs.settings import experiment, prepare_config
from pipeline.errors import ConfigError
from pipeline.training.config.experiment import ExperimentConfig

ROOT = Path(__file__).resolve().parents[2]
Doc = dict[str, Any]
VERBS = ("prepare", "train", "tune", "scale", "evaluate")
WORKDIR = "/opt/landmarks"


def _parse(command: str) -> tuple[str, dict[str, Any]]:
    """The verb and its arguments, as the command line would understand them."""
    program, *arguments = shlex.split(command)
    assert program == "landmarks"
    root = typer.main.get_command(app)
    context = root.make_context(program, arguments[:1], resilient_parsing=True)
    verb = root.get_command(context, arguments[0])  # type: ignore[attr-defined]
    assert verb is not None, f"no such verb: {arguments[0]}"
    return arguments[0], dict(verb.make_context(arguments[0], arguments[1:], parent=context).params)


def _job(docs: list[Doc], verb: str) -> Doc:
    return next(d for d in of_kind(docs, "RayJob") if d["metadata"]["name"] == f"landmarks-{verb}")


@pytest.fixture(autouse=True)
def _environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # the image's WORKDIR holds the same configs
    if "docs" in request.fixturenames:
        for name, value in _settings(request.getfixturevalue("docs")).items():
            monkeypatch.setenv(name, value)


def _settings(docs: list[Doc]) -> dict[str, str]:
    return next(
        d["data"] for d in of_kind(docs, "ConfigMap") if d["metadata"]["name"] == "landmarks-settings"
    )


def _config(docs: list[Doc], verb: str) -> ExperimentConfig:
    _, given = _parse(_job(docs, verb)["spec"]["entrypoint"])
    assert given["dry_run"] is False
    return experiment(given["config"], given["overrides"] or [])


@pytest.mark.parametrize("verb", VERBS)
def test_command_is_one_of_the_command_line(docs: list[Doc], verb: str) -> None:
    parsed, given = _parse(_job(docs, verb)["spec"]["entrypoint"])
    assert parsed == verb
    if "config" in given:
        assert (ROOT / given["config"]).is_file()


def test_no_other_container_starts_landmarks(docs: list[Doc]) -> None:
    # What does not say a command would run the image's entry point, 'landmarks', with arguments that nothing here has parsed.
    for pod in pods(docs):
        for container in pod.containers:
            if container["image"].startswith("landmarks:") and not pod.ray:
                assert container["command"][0] in {"mlflow", "python", "sleep"}, pod.where
            if pod.ray:
                assert "command" not in container, f"{pod.where}: KubeRay starts Ray"
                assert "workingDir" not in container


def test_prepare_makes_what_train_reads(docs: list[Doc]) -> None:
    _, given = _parse(_job(docs, "prepare")["spec"]["entrypoint"])
    made = prepare_config(given["config"], given["overrides"] or [])
    for verb in ("train", "tune", "scale"):
        sets = _config(docs, verb).data.sets()
        assert {"train", "validation", "unlabelled.corpora.0"} <= sets.keys()
        for path in sets.values():
            assert path.startswith(f"{made.out}/"), f"{verb}: {path}"


@pytest.mark.parametrize("verb", ["train", "tune", "scale"])
def test_config_composes_and_fits_the_cluster(docs: list[Doc], verb: str) -> None:
    job = _job(docs, verb)
    config = _config(docs, verb)
    if verb != "train":
        assert getattr(config, verb) is not None
    spec = ray_spec(job)
    assert spec is not None
    (group,) = spec["workerGroupSpecs"]
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    gpus, cpus, cluster = int(limits.get("nvidia.com/gpu", 0)), int(limits["cpu"]), config.cluster
    assert cluster.gpu == (gpus > 0)
    in_pod = cpus // cluster.cpus_per_worker
    if gpus:
        in_pod = min(in_pod, int(gpus / cluster.gpus_per_worker))
    assert cluster.workers <= in_pod * group["maxReplicas"]
    if verb == "train":
        # All that the command wants, and no pod for nothing.
        assert cluster.workers > in_pod * (group["maxReplicas"] - 1)
        least = cluster.min_workers or cluster.workers
        assert in_pod * (group["minReplicas"] - 1) < least <= in_pod * group["minReplicas"]
        assert bool(spec.get("enableInTreeAutoscaling")) == (cluster.min_workers is not None)
    else:
        # They count at their start how many runs fit: a cluster that grows later would stand idle.
        assert group["minReplicas"] == group["maxReplicas"]
    assert cluster.max_failures > 0
    assert config.tracking.uri == _settings(docs)["MLFLOW_TRACKING_URI"]


def test_elastic_training_may_take_every_size_between(render: Any) -> None:
    from jobs.cluster.elastic import valid_world_sizes

    config = _config(render("gpu-elastic"), "train")
    worlds = valid_world_sizes(config)
    assert (worlds[0], worlds[-1]) == (config.cluster.workers, config.cluster.min_workers)
    assert config.cluster.zero_stage == 0


def test_names_are_said_in_the_command_and_differ(docs: list[Doc]) -> None:
    names = []
    for verb in ("train", "tune", "scale"):
        _, given = _parse(_job(docs, verb)["spec"]["entrypoint"])
        (name,) = [o.removeprefix("name=") for o in given["overrides"] if o.startswith("name=")]
        assert _config(docs, verb).name == name
        names.append(name)
    assert len(set(names)) == 3


def test_evaluate_reads_the_run_that_train_writes(docs: list[Doc]) -> None:
    _, given = _parse(_job(docs, "evaluate")["spec"]["entrypoint"])
    root, config = _settings(docs)["LANDMARKS_ROOT"], _config(docs, "train")
    assert given["runs"] == [f"{root}/{config.cluster.storage}/{config.name}"]
    assert given["out"].startswith(f"{root}/outputs/")


def test_all_paths_lie_on_mounted_volumes(docs: list[Doc]) -> None:
    settings = _settings(docs)
    for pod in pods(docs):
        if pod.ray:
            mounts = {m["mountPath"] for c in pod.spec["containers"] for m in c["volumeMounts"]}
            assert settings["LANDMARKS_ROOT"] in mounts
            for name in ("W300_ROOT", "UNLABELLED_ROOT"):
                assert str(Path(settings[name]).parent) in mounts
    config = _config(docs, "train")
    assert config.prepare is not None
    for part in config.prepare.sets:
        root = getattr(part.reader, "root", None)
        assert root is None or root in {settings["W300_ROOT"], settings["UNLABELLED_ROOT"]}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("landmarks trian configs/demo.yaml", "no such verb"),
        ("landmarks train configs/demo.yaml --dry-rum", "No such option"),
        ("landmarks evaluate", "Missing parameter: runs"),
        ("python -m jobs.cli", "landmarks"),
    ],
)
def test_a_wrong_command_is_noticed(command: str, expected: str) -> None:
    with pytest.raises(Exception, match=expected):  # click's and pytest's own
        _parse(command)


def test_an_unknown_key_is_noticed() -> None:
    _, given = _parse("landmarks train configs/demo.yaml cluster.worker=2")
    with pytest.raises(ConfigError, match="cluster.worker"):
        experiment(given["config"], given["overrides"])


def test_start_parameters_are_rays_own(docs: list[Doc]) -> None:
    from ray.scripts.scripts import start

    known = {option.removeprefix("--") for parameter in start.params for option in parameter.opts}
    for doc in of_kind(docs, "RayJob", "RayCluster"):
        spec = ray_spec(doc)
        assert spec is not None
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
            assert group["rayStartParams"].keys() <= known


def _readme() -> list[str]:
    """The lines of the README's shell blocks."""
    text = (ROOT / "k8s" / "README.md").read_text(encoding="utf-8")
    return [
        line.partition(" #")[0].strip()
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]


def test_commands_of_the_readme_are_the_command_lines_own() -> None:
    commands = [line for line in _readme() if line.startswith("landmarks ")]
    assert len(commands) >= 2
    for line in commands:
        verb, given = _parse(line)
        if verb == "submit":
            inner, arguments = _parse(shlex.join(["landmarks", given["verb"], *given["arguments"]]))
            assert inner in VERBS
            experiment(arguments["config"], arguments["overrides"] or [])


def test_parts_and_labels_of_the_readme_exist(render: Any) -> None:
    docs = render("gpu")
    parts = {doc["metadata"]["labels"]["landmarks/start"] for doc in docs}
    for line in _readme():
        for command in re.findall(r"k8s/start\.sh (\S+) (\S+)", line):
            assert command[0] == "gpu"
            assert command[1] in parts
    labelled = set(re.findall(r"landmarks/access=(\w+)", "\n".join(_readme())))
    metrics = yaml.safe_load((ROOT / "k8s/components/metrics/network.yaml").read_text(encoding="utf-8"))
    policies = str([*of_kind(docs, "NetworkPolicy"), metrics])
    assert labelled == set(re.findall(r"'landmarks/access': '(\w+)'", policies))
