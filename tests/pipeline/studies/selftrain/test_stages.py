"""What each stage of a study trains on."""

import json

import pytest

from pipeline.errors import ConfigError
from pipeline.shards.manifest import load_manifest
from pipeline.studies.selftrain import check_selftrain, finetune_config, pretrain_config, teacher_config
from pipeline.studies.selftrain.stages import pseudo_folder
from pipeline.training.config.compose import validate
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.plan import make_plan


@pytest.fixture
def experiment(toy_experiment, tmp_path):
    def make(**sections) -> ExperimentConfig:
        raw = toy_experiment | {"seed": 5, "optimizer": {"lr": 0.01}}
        raw["data"] = raw["data"] | {
            "labelled_count": 24,
            "unlabelled": {"remainder": True},
            "focal_attributes": ["odd"],
        }
        raw["selftrain"] = {
            "pretrain_steps": 40,
            "finetune_lr": 0.002,
            "storage": str(tmp_path / "selftrain"),
        }
        for key, value in sections.items():
            raw[key] = value if value is None else raw.get(key, {}) | value
        return validate(raw, ExperimentConfig, "x.yaml")

    return make


@pytest.fixture
def pseudo(experiment, toy_sets):
    """Stands for the pseudo-labels of a round."""
    manifest = json.loads((toy_sets["train"] / "manifest.json").read_text())

    def make(number: int):
        from pathlib import Path

        folder = Path(pseudo_folder(experiment(), number))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return load_manifest(str(folder))

    return make


def test_round_0_is_the_configs_own_training(experiment, tmp_path):
    config = experiment()
    stage = teacher_config(config)
    assert stage.name == "toy-r0-train"
    assert stage.cluster.storage == str(tmp_path / "selftrain" / "toy" / "runs")
    same = {"data", "model", "loss", "unlabelled", "optimizer", "training", "seed"}
    assert stage.model_dump(include=same) == config.model_dump(include=same)


def test_pretraining_sees_pseudo_labels_alone(experiment, pseudo):
    config = experiment()
    teacher = make_plan(teacher_config(config))
    stage = pretrain_config(config, 1, pseudo(1), teacher)
    assert (stage.name, stage.seed, stage.init) == ("toy-r1-pretrain", 6, None)
    assert stage.data.train == pseudo_folder(config, 1)
    assert (stage.data.labelled_count, stage.data.unlabelled, stage.data.extra) == (None, None, ())
    assert stage.data.validation == config.data.validation
    assert stage.unlabelled_batch == 0
    assert (stage.training.steps, stage.optimizer.lr) == (40, 0.01)
    # As many steps between validations as in round 0, though an epoch has 7.5 steps there and 3 here.
    plan = make_plan(stage)
    assert (plan.labelled, plan.validate_steps, teacher.validate_steps) == (60, 2, 2)


def test_fine_tuning_starts_from_the_pretrained_and_shrinks_later(experiment, pseudo):
    config = experiment()
    teacher = make_plan(teacher_config(config))
    first = finetune_config(config, 1, "pretrained", teacher)
    assert (first.init.model, first.training.steps, first.optimizer.lr) == ("pretrained", 12, 0.002)
    assert first.data == config.data
    second = finetune_config(config, 2, "pretrained", teacher)
    pseudo(2)
    (mixed,) = second.data.extra
    assert (mixed.set, mixed.share, mixed.shrink.radius) == (pseudo_folder(config, 2), 0.5, 0.05)
    assert (second.train_batch, second.extra_batches) == (4, (4,))
    never = experiment(selftrain={"shrink": None})
    assert finetune_config(never, 2, "pretrained", teacher).data.extra == ()


def test_what_rounds_need_is_asked_for(experiment):
    for sections, message in (
        ({"selftrain": None}, "has no section 'selftrain'"),
        ({"data": {"unlabelled": None}, "unlabelled": {"objective": None}}, "name them in data.unlabelled"),
        ({"data": {"validation": None}, "training": {"select": "last"}}, "set data.validation"),
    ):
        with pytest.raises(ConfigError, match=message):
            check_selftrain(experiment(**sections))
    with pytest.raises(ConfigError, match="34 characters at most"):
        check_selftrain(experiment().model_copy(update={"name": "x" * 35}))
