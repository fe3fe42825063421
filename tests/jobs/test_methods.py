"""Every method from its YAML: planned with and without unlabelled faces and with its paper's ablations, and trained for real."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobs.dry_run import describe
from jobs.evaluate import evaluate
from jobs.prepare import prepare
from pipeline.errors import ConfigError
from pipeline.training.config.compose import compose
from pipeline.training.config.experiment import ExperimentConfig

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
METHODS = ("laplace", "adnet", "uglli", "wasserstein", "anisotropic")
UNLABELLED = {
    "supervised": ["unlabelled.objective=null", "unlabelled.objectives=[]"],
    # One check of a plan takes a step with all of them.
    "semi-supervised": [
        "unlabelled.objective=null",
        "unlabelled.objectives=[{name: adversarial}, {name: equivariance}, {name: mean_teacher}]",
        "training.ema_decay=0.99",
    ],
}


def plan(toy_sets: dict[str, Path], name: str, overrides: list[str]) -> ExperimentConfig:
    """A config as it is, on toy sets; printed by --dry-run's own code."""
    sets = [f"data.{key}={path}" for key, path in toy_sets.items()]
    config = compose(
        ROOT / "configs" / f"{name}.yaml", [*sets, "data.streams=4", *overrides], ExperimentConfig
    )
    describe(config)
    return config


@pytest.mark.parametrize("unlabelled", UNLABELLED)
@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_config_is_planned_with_and_without_unlabelled_faces(path, unlabelled, toy_sets, capsys):
    # Whole steps for any of the configs' batches and workers, on sets of 60 and 90 faces.
    few = ["data.labelled_count=null", "data.unlabelled_count=null", "tune=null", "scale=null"]
    if compose(path, [], ExperimentConfig).data.focal_attributes:
        few.append("data.focal_attributes=[odd, rare]")  # those that the toy faces have
    config = plan(toy_sets, path.stem, [*few, *UNLABELLED[unlabelled]])
    printed = capsys.readouterr().out
    assert (config.unlabelled_batch > 0) == (unlabelled != "supervised")
    assert f"({config.model.name})" in printed
    assert f"{config.method.name}: loss {config.loss.name}" in printed


ABLATIONS = {
    "laplace_300w": [
        ["loss.true_scale=2", "loss.beta=0.5"],
        ["loss={name: gaussian_kl}"],
        ["loss={name: softargmax_l2}"],
        ["model.width=4"],
        ["unlabelled.objective.weight=0.01"],
    ],
    "adnet_300w": [
        *(["loss.lambda_=" + value] for value in ("0.5", "1", "4", "8")),
        *([f"model.attention={kind}"] for kind in ("none", "point", "edge")),
        ["model.stacks=1"],
        ["method.stages=[0,0,0,1]"],
        ["method.alpha=0", "method.beta=0", "method.sigma=1", "method.line_width=2"],
        ["model={name: simple_baseline, attention: point_edge}"],
    ],
    "uglli_300w": [
        ["decoder={name: softargmax}"],
        ["decoder={name: temperature_softargmax}"],
        ["model.cholesky=false"],
        ["method.stages=[0,0,0,1]"],
        ["loss={name: l2}"],
    ],
    "wasserstein_300w": [
        *([f"loss.true_scale={value}"] for value in ("1.5", "3")),
        ["decoder={name: quarter_shift}"],
        *([f"model.coord_conv={where}"] for where in ("none", "all")),
        *([f"loss={{name: {name}}}", "decoder=null"] for name in ("heatmap_l2", "jensen_shannon", "softargmax_l2")),
        *([f"model={{name: {name}}}"] for name in ("cpn", "hourglass", "simple_baseline")),
    ],
    "anisotropic_300w": [
        ["loss.a=8", "loss.b=2"],
        *([f"loss={{name: {name}}}"] for name in ("l1", "l2", "smooth_l1", "wing")),
        *([f"method.origin={origin}"] for origin in ("centre", "mean")),
        *([f"data.balance.kind={kind}"] for kind in ("none", "replicate")),
        *([f"model.backbone={name}"] for name in ("densenet121", "wide_resnet50_2")),
        ["model={name: simple_baseline}", "loss={name: awing}"],
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "overrides"),
    [(name, overrides) for name, cases in ABLATIONS.items() for overrides in cases],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_each_papers_ablations_are_plain_overrides(name, overrides, toy_sets):
    # Each plan's check takes a real step; whether the parts fit does not depend on the size of the images.
    plan(toy_sets, name, [*overrides, "input_size=64"])


@pytest.mark.parametrize(
    ("name", "overrides", "reason"),
    [
        ("anisotropic_300w", ["loss={name: wasserstein}"], "compares heatmaps, but the network regresses coordinates"),
        ("anisotropic_300w", ["loss={name: gaussian_log_likelihood}"], "needs a covariance"),
        ("anisotropic_300w", ["method={name: adnet}"], "needs a generator of heatmaps"),
        ("uglli_300w", ["decoder={name: dark}"], "cannot train through decoder 'dark'"),
        ("uglli_300w", ["method.stages=[1,1]"], "2 weights, but the network has 4 stages"),
        ("adnet_300w", ["input_size=250"], "must be a multiple|needs a multiple|multiples"),
        ("laplace_300w", ["unlabelled.objective={name: mean_teacher}"], "training.ema_decay"),
        ("adnet_star_wflw", [], r"no attribute 'pose' \(it has: odd, rare\)"),
    ],
)  # fmt: skip
def test_what_cannot_work_fails_with_the_reason(name, overrides, reason, toy_sets):
    with pytest.raises(ConfigError, match=reason):
        plan(toy_sets, name, overrides)


# NME (%, inter-ocular) on the drawn test faces after the YAML's 250 steps, which a run must stay under: what the mean training
# shape scores, put in every crop.
MEAN_SHAPE = 20.8


class Demos:
    """The five demo YAMLs' runs in a folder, measured and compared in one report.

    Args:
        folder: Where they are: outputs/runs; the report comes beside.
        evaluate: Measures model or run folders into a folder.
    """

    def __init__(self, folder: Path, evaluate: Callable[[list[str], str], object]) -> None:
        self.folder = folder
        evaluate([str(self.run(method)) for method in METHODS], str(folder / "report"))

    def run(self, method: str) -> Path:
        """Folder of its run."""
        return self.folder / "outputs" / "runs" / f"demo-{method}"

    def losses(self, method: str) -> list[float]:
        """The supervised loss of every step."""
        lines = (self.run(method) / "trace" / "rank0.jsonl").read_text(encoding="utf-8").splitlines()
        return [float.fromhex(json.loads(line)["metrics"]["supervised"]) for line in lines]

    def nme(self, method: str) -> float:
        """On the test faces, %; the report says the same."""
        evaluation = json.loads((self.folder / "report" / f"demo-{method}.json").read_text(encoding="utf-8"))
        nme = evaluation["errors"]["ocular"]["nme"]
        report = (self.folder / "report" / "report.html").read_text(encoding="utf-8")
        assert f"demo-{method}" in report
        assert f"{nme:.2f}" in report
        return nme

    def predictions(self, method: str) -> dict[str, np.ndarray]:
        """Points, truth, covariances, crops of the test faces."""
        with np.load(self.folder / "report" / f"demo-{method}.npz", allow_pickle=False) as saved:
            return dict(saved)

    def check_uncertainty(self, method: str) -> None:
        """Each landmark's covariance is one, and of a size that a face's error can have."""
        saved = self.predictions(method)
        covariance = saved["covariance_NK22"].astype(np.float64)
        assert covariance.shape == (*saved["points_NK2"].shape, 2)
        assert np.isfinite(covariance).all()
        assert (np.linalg.eigvalsh(covariance)[..., 0] >= -1e-6).all()
        # A standard deviation of between a tenth of a pixel and the face's own size.
        spread = np.linalg.det(covariance).clip(0) ** 0.25
        assert 0.01 < np.median(spread) < 100


@pytest.fixture(scope="module")
def short(tmp_path_factory, train_plainly) -> Demos:
    """Fifteen steps each, on few faces, by the loop alone: what a method learns does not depend on who runs it."""
    folder = tmp_path_factory.mktemp("short")
    sets = folder / "sets"
    few = [
        f"prepare.out={sets}",
        "prepare.samples_per_shard=8",
        *(f"prepare.sets.{place}.reader.count={count}" for place, count in enumerate((24, 80, 8))),
        *(f"data.{name}={sets / name}" for name in ("train", "validation", "test", "unlabelled")),
        "data.streams=8",
        "training.steps=15",
        "training.trace=true",
        "schedule.warmup_steps=0",
        "cluster.cpus_per_worker=1",
        f"cluster.storage={folder}/outputs/runs",
    ]
    configs = [compose(ROOT / f"configs/demo_{method}.yaml", few, ExperimentConfig) for method in METHODS]
    prepare(configs[0].prepare, workers=0)
    ended = train_plainly(*(config.model_dump(mode="json") for config in configs))
    assert [end["error"] for end in ended] == [None] * len(METHODS)

    def measure(runs: list[str], out: str) -> None:
        evaluate([f"{run}/models/best" for run in runs], data=str(sets / "test"), out=out)

    return Demos(folder, measure)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, landmarks) -> Demos:
    """As the YAMLs say, by the command line, two at a time on a core each."""
    folder = tmp_path_factory.mktemp("whole")
    command = replace(landmarks, environment=landmarks.environment | {"LANDMARKS_ROOT": str(folder)})
    command.run("prepare", str(ROOT / "configs/demo_laplace.yaml"), cwd=folder)
    own = ["tracking.uri=sqlite:///mlflow.db", "cluster.cpus_per_worker=1", "training.trace=true"]

    def train(method: str) -> None:
        command.run("train", str(ROOT / f"configs/demo_{method}.yaml"), *own, cwd=folder)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(train, METHODS))
    return Demos(folder, lambda runs, out: command.run("evaluate", *runs, "--out", out, cwd=folder))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_from_its_yaml_and_states_its_error_and_uncertainty(short, method):
    curve = short.losses(method)
    assert len(curve) == 15
    assert np.mean(curve[-5:]) < np.mean(curve[:5])
    # Independently of the evaluation's own code: the mean error in original pixels, over the outer eye corners.
    saved = short.predictions(method)
    truth = saved["target_NK2"]
    error = np.linalg.norm(saved["points_NK2"] - truth, axis=-1).mean(axis=1)
    ocular = np.linalg.norm(truth[:, 36] - truth[:, 45], axis=-1)
    assert short.nme(method) == pytest.approx(100 * (error / ocular).mean(), rel=1e-6)
    short.check_uncertainty(method)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(2400)  # the first to come waits for all five trainings
@pytest.mark.parametrize("method", METHODS)
def test_every_method_beats_the_mean_shape_as_its_yaml_says(whole, method):
    curve = whole.losses(method)
    assert len(curve) == 250
    assert np.mean(curve[-30:]) < np.mean(curve[:30])
    assert whole.nme(method) < MEAN_SHAPE
    whole.check_uncertainty(method)
