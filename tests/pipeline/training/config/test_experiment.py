"""Every config of the project composes; every impossible combination fails with its reason."""

from pathlib import Path

import pytest
import yaml

from pipeline.errors import ConfigError
from pipeline.training.config.compose import compose, to_yaml, validate, with_values
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash

ROOT = Path(__file__).resolve().parents[4]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
ADVERSARIAL = {"objective": {"name": "adversarial"}}

SUPERVISED = ["unlabelled.objective=null", "unlabelled.objectives=[]"]


def experiment(**changes) -> ExperimentConfig:
    raw = {"name": "x", "data": {"train": "t", "validation": "v", "unlabelled": "u"}}
    for key, value in changes.items():
        raw[key] = raw.get(key, {}) | value if isinstance(value, dict) and key != "model" else value
    return validate(raw, ExperimentConfig, "x.yaml")


def test_there_are_configs():
    assert CONFIGS


@pytest.mark.parametrize("overrides", [[], SUPERVISED], ids=["as it is", "supervised"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_config_composes_and_reads_back(path, overrides, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = compose(path, overrides, ExperimentConfig)
    assert bool(config.unlabelled.active) == (config.unlabelled_batch > 0)
    if overrides:
        assert config.unlabelled_batch == 0
    again = validate(yaml.safe_load(to_yaml(config)), ExperimentConfig, str(path))
    assert again == config
    assert config_hash(again) == config_hash(config)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_no_config_selects_on_what_it_reports(path):
    data = compose(path, [], ExperimentConfig).data
    assert len({data.train, data.validation, data.test, data.unlabelled}) == 4


def test_the_defaults_are_the_papers():
    config = experiment()
    assert config.optimizer.lr == 1e-3
    assert config.optimizer.weight_decay == 1e-5
    assert config.training.epochs == 200
    assert (
        compose(ROOT / "configs/laplace_300w.yaml", [], ExperimentConfig).unlabelled.active[0].weight.fixed
        == 0.001
    )
    assert (config.schedule.name, config.input_size) == ("constant", 80)
    assert (config.model.name, config.loss.name) == ("rcn", "laplace_kl")


def test_one_objective_or_several_each_with_its_weight_or_its_own_default():
    one = experiment(unlabelled=ADVERSARIAL)
    assert [(o.name, o.weight.share) for o in one.unlabelled.active] == [("adversarial", 0.1)]
    several = experiment(
        unlabelled={
            "objectives": [
                {"name": "mean_teacher", "weight": {"share": 0.2}, "least": 0.3},
                {"name": "detector_points"},
                {"name": "adversarial", "weight": 0.001},
            ]
        },
        training={"ema_decay": 0.9},
    )
    weights = [(o.weight.share, o.weight.fixed, o.weight.ramp_steps) for o in several.unlabelled.active]
    assert weights == [(0.2, None, 0), (0.3, None, 400), (None, 0.001, 0)]
    assert several.unlabelled.active[0].parameters == {"least": 0.3}
    assert several.unlabelled_batch == several.training.batch
    assert experiment().unlabelled.active == ()
    assert validate(yaml.safe_load(to_yaml(several)), ExperimentConfig, "again") == several


IMPOSSIBLE = {
    "objective without faces": (
        {"unlabelled": ADVERSARIAL, "data": {"unlabelled": None}},
        "unlabelled.objective is set, but data.unlabelled names no set",
    ),
    "both lengths": ({"training": {"epochs": 3, "steps": 3}}, "exactly one of training.epochs and training.steps"),
    "no length": ({"training": {"epochs": None}}, "exactly one of training.epochs and training.steps"),
    "best of nothing": (
        {"data": {"validation": None}},
        "training.select = 'best' needs data.validation; or set training.select=last",
    ),
    "input size": ({"input_size": 72}, "input_size = 72: model 'rcn' needs a multiple of 16"),
    "no unlabelled faces for a worker": (
        {"unlabelled": {**ADVERSARIAL, "ratio": 0.1}, "cluster": {"workers": 4}},
        "cannot share evenly",
    ),
    "model": ({"model": {"name": "rcm"}}, "no model named 'rcm': did you mean 'rcn'?"),
    "model's parameter": (
        {"model": {"name": "rcn", "widht": 8}},
        "model 'rcn' has no parameter 'widht'; did you mean 'width'?",
    ),
    "model's type": ({"model": {"name": "rcn", "width": "wide"}}, "model 'rcn', parameter 'width': 'wide'"),
    "trainer's own": ({"model": {"name": "rcn", "num_landmarks": 5}}, "has no parameter 'num_landmarks'"),
    "loss": ({"loss": {"name": "laplace"}}, "no loss named 'laplace'"),
    "objective": ({"unlabelled": {"objective": {"name": "adverserial"}}}, "did you mean 'adversarial'?"),
    "objective's parameter": (
        {"unlabelled": {"objective": {"name": "adversarial", "form": "x"}}},
        "objective 'adversarial', parameter 'form': 'x'",
    ),
    "weight beside the objective": (
        {"unlabelled": {**ADVERSARIAL, "weight": 0.1}},
        "a weight is its objective's: write unlabelled.objective.weight",
    ),
    "weight of two kinds": (
        {"unlabelled": {"objective": {"name": "adversarial", "weight": {"share": 0.1, "fixed": 1.0}}}},
        "has exactly one of 'share' and 'fixed'",
    ),
    "objective and objectives": (
        {"unlabelled": {**ADVERSARIAL, "objectives": [{"name": "equivariance"}]}},
        "set one of unlabelled.objective and unlabelled.objectives",
    ),
    "an objective twice": (
        {"unlabelled": {"objectives": [{"name": "equivariance"}, {"name": "equivariance", "scale": 0.2}]}},
        "names 'equivariance' twice",
    ),
    "rate never drops": ({"schedule": {"name": "steps"}}, "key 'schedule': schedule 'steps' needs parameter 'milestones'"),
    "milestones in epochs": (
        {"schedule": {"name": "steps", "milestones": [100, 150]}},
        "schedule 'steps', parameter 'milestones': [100, 150]: milestones are shares of the run, between 0 and 1",
    ),
    "name": ({"name": "a name/with.dots"}, "key 'name' = 'a name/with.dots'"),
    "unknown key": ({"training": {"bacth": 3}}, "unknown key 'training.bacth': did you mean 'batch'?"),
    "zero stage": ({"cluster": {"zero_stage": 3}}, "key 'cluster.zero_stage' = 3: Input should be 0, 1 or 2"),
    "decay": ({"training": {"ema_decay": 1.0}}, "key 'training.ema_decay' = 1.0: Input should be less than 1"),
    "elastic upside down": (
        {"cluster": {"workers": 2, "min_workers": 3}},
        "cluster.min_workers = 3 is above cluster.workers = 2",
    ),
    "elastic to nothing": ({"cluster": {"min_workers": 0}}, "key 'cluster.min_workers' = 0"),
    "elastic and sharded": (
        {"cluster": {"workers": 4, "min_workers": 2, "zero_stage": 1}},
        "belongs to one number of workers; set cluster.zero_stage=0",
    ),
    "workers on one GPU": (
        {"cluster": {"workers": 2, "gpu": True, "gpus_per_worker": 0.5}},
        "cluster.gpus_per_worker < 1 would put several workers of one run on a GPU",
    ),
    "no GPU at all": ({"cluster": {"gpu": True, "gpus_per_worker": 0}}, "key 'cluster.gpus_per_worker' = 0"),
    "two GPUs a worker": ({"cluster": {"gpu": True, "gpus_per_worker": 2}}, "key 'cluster.gpus_per_worker' = 2"),
    "betas": (
        {"optimizer": {"betas": [0.9, 1.0]}},
        "key 'optimizer': optimizer 'adam', parameter 'betas': [0.9, 1.0]: Input should be less than 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_what_cannot_work_fails_with_its_reason(kind):
    changes, message = IMPOSSIBLE[kind]
    with pytest.raises(ConfigError) as caught:
        experiment(**changes)
    assert message in str(caught.value)
    assert str(caught.value).startswith("x.yaml: ")


def test_what_looks_impossible_but_works():
    assert experiment(data={"validation": None}, training={"select": "last"}).data.validation is None
    assert experiment(data={"unlabelled": None}).unlabelled_batch == 0
    assert experiment(training={"epochs": None, "steps": 3}).training.steps == 3
    assert experiment(cluster={"workers": 4, "min_workers": 4}).cluster.min_workers == 4
    assert experiment(cluster={"workers": 4, "min_workers": 1, "gpu": True}).cluster.gpus_per_worker == 1
    assert experiment(cluster={"gpu": True, "gpus_per_worker": 0.25}).cluster.gpus_per_worker == 0.25
    # Without GPUs the fraction says nothing, and needs no change to try a GPU config on cores.
    assert experiment(cluster={"workers": 2, "gpus_per_worker": 0.5}).cluster.workers == 2
    assert experiment(cluster={"workers": 2, "zero_stage": 2}).cluster.min_workers is None


@pytest.mark.parametrize("origin", ["defaults", "pieces/local.yaml"])
def test_runs_are_tracked_where_the_environment_says(monkeypatch, origin):
    def uri(*overrides: str) -> str:
        if origin == "defaults":
            return experiment(
                tracking=dict(o.removeprefix("tracking.").split("=", 1) for o in overrides)
            ).tracking.uri
        monkeypatch.chdir(ROOT)
        return compose(ROOT / "configs" / "demo.yaml", overrides, ExperimentConfig).tracking.uri

    for unset in (
        lambda: monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False),
        lambda: monkeypatch.setenv("MLFLOW_TRACKING_URI", ""),
    ):
        unset()
        assert uri() == "sqlite:///outputs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert uri() == "http://mlflow:5000"
    assert uri("tracking.uri=sqlite:///own.db") == "sqlite:///own.db"


def test_where_a_run_is_tracked_does_not_make_it_another_run(monkeypatch):
    from pipeline.training.identity import WHERE

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before = config_hash(experiment(), WHERE)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert config_hash(experiment(), WHERE) == before


@pytest.mark.parametrize(
    ("batch", "ratio", "workers", "expected"),
    [
        (16, 1.0, 1, 16),
        (16, 1.0, 4, 16),
        (16, 0.5, 4, 8),
        (16, 3.0, 2, 48),
        (16, 0.3, 1, 5),
        (12, 0.75, 3, 9),
        (16, 0.01, 1, 1),
        (4, 1.0, 4, 4),
    ],
)
def test_unlabelled_batches_are_the_same_for_any_number_of_workers(batch, ratio, workers, expected):
    config = experiment(
        unlabelled={**ADVERSARIAL, "ratio": ratio}, training={"batch": batch}, cluster={"workers": workers}
    )
    assert config.unlabelled_batch == expected
    assert config.unlabelled_batch % workers == 0


def test_a_number_of_workers_that_would_change_what_a_step_sees_is_refused():
    # 5 faces a step at one worker; two would have to see 4 or 6.
    changes = {"unlabelled": {**ADVERSARIAL, "ratio": 0.3}, "training": {"batch": 16}}
    assert experiment(**changes).unlabelled_batch == 5
    with pytest.raises(
        ConfigError, match=r"5 unlabelled faces a step.*workers = 2 .*unlabelled\.ratio=0\.25"
    ):
        experiment(**changes, cluster={"workers": 2})
    advised = {**changes, "unlabelled": {**ADVERSARIAL, "ratio": 0.25}}
    assert experiment(**advised, cluster={"workers": 2}).unlabelled_batch == 4
    assert experiment(**advised).unlabelled_batch == 4


def test_a_config_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        experiment().seed = 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"model": {"name": "regressor"}},
            "LaplaceKL compares heatmaps, but the network regresses coordinates",
        ),
        (
            {"model": {"name": "regressor"}, "loss": {"name": "wasserstein"}},
            "Wasserstein compares heatmaps, but the network regresses coordinates",
        ),
        (
            {"model": {"name": "regressor"}, "loss": {"name": "gaussian_log_likelihood"}},
            "GaussianLogLikelihood needs a covariance, but the network regresses points alone",
        ),
        (
            {"model": {"name": "regressor"}, "loss": {"name": "l1"}, "decoder": {"name": "dark"}},
            "decoder 'dark' reads heatmaps, but the network regresses coordinates",
        ),
        ({"loss": {"name": "wing"}, "decoder": {"name": "argmax"}}, "cannot train through decoder 'argmax'"),
        ({"decoder": {"name": "drak"}}, "no decoder named 'drak': did you mean 'dark'"),
        ({"decoder": {"name": "dark", "beta": 1.0}}, "decoder 'dark' has no parameter 'beta'"),
        ({"method": {"name": "adnt"}}, "no method named 'adnt': did you mean 'adnet'"),
        ({"method": {"name": "adnet", "markup": "x"}}, "method 'adnet' has no parameter 'markup'"),
        ({"loss": {"name": "adl", "neighbours": []}}, "loss 'adl' has no parameter 'neighbours'"),
    ],
)
def test_parts_that_cannot_work_together_are_refused_with_the_reason(changes, reason):
    with pytest.raises(ConfigError, match=reason):
        experiment(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"name": "regressor"}, "loss": {"name": "anisotropic"}},
        {"loss": {"name": "adl", "lambda_": 4.0}, "decoder": {"name": "relu_mean"}},
        {"loss": {"name": "wasserstein"}, "decoder": {"name": "quarter_shift"}},
        {
            "model": {"name": "dunet"},
            "loss": {"name": "gaussian_log_likelihood"},
            "method": {"name": "uglli"},
        },
    ],
)
def test_any_sensible_pair_is_taken(changes):
    assert experiment(**({"input_size": 128} | changes)).loss.name == changes["loss"]["name"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"optimizer": {"smoothing": 0.9}}, "key 'optimizer': optimizer 'adam' has no parameter 'smoothing'"),
        (
            {"optimizer": {"name": "rmsprop", "decoupled": True}},
            "optimizer 'rmsprop' has no parameter 'decoupled'",
        ),
        ({"optimizer": {"name": "rmspro"}}, "no optimizer named 'rmspro': did you mean 'rmsprop'"),
        ({"optimizer": {"weight_deca": 0}}, "did you mean 'weight_decay'?"),
        (
            {"unlabelled": {"optimizer": {"lr": 0}}},
            "key 'unlabelled.optimizer': optimizer 'adam', parameter 'lr': 0",
        ),
        ({"schedule": {"milestones": [0.5]}}, "schedule 'constant' has no parameter 'milestones'"),
        ({"schedule": {"name": "cosine", "warmup_step": 3}}, "did you mean 'warmup_steps'?"),
    ],
)
def test_an_optimizer_and_a_schedule_have_their_own_parameters_alone(section, message):
    with pytest.raises(ConfigError) as caught:
        experiment(**section)
    assert message in str(caught.value)


def test_the_resolved_config_shows_what_nobody_set():
    dumped = experiment(optimizer={"lr": 0.01}, schedule={"name": "cosine"}).model_dump(mode="json")
    assert dumped["optimizer"] == {
        "name": "adam", "lr": 0.01, "weight_decay": 1e-5, "betas": [0.9, 0.999], "decoupled": False
    }  # fmt: skip
    assert dumped["schedule"] == {"name": "cosine", "warmup_steps": 0, "final": 0.0}
    assert ExperimentConfig.model_validate(dumped) == experiment(
        optimizer={"lr": 0.01}, schedule={"name": "cosine"}
    )


def test_another_optimizer_inherits_what_was_set_and_no_defaults():
    """A search over optimizers changes the name alone."""
    config = experiment(optimizer={"lr": 0.01, "weight_decay": 0.5})
    other = with_values(config, {"optimizer.name": "rmsprop"}, "test").optimizer
    assert other.parameters == {"lr": 0.01, "weight_decay": 0.5, "smoothing": 0.99}
    with pytest.raises(ConfigError, match="optimizer 'rmsprop' has no parameter 'decoupled'"):
        with_values(experiment(optimizer={"decoupled": True}), {"optimizer.name": "rmsprop"}, "test")
