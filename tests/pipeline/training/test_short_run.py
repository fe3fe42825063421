"""A short run is the experiment, but for its length and its folder."""

from __future__ import annotations

import pytest

from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.plan import derive
from pipeline.training.short_run import WINDOW, short_run


@pytest.fixture
def config(toy_experiment) -> ExperimentConfig:
    toy_experiment["cluster"] |= {"workers": 2, "min_workers": 1}
    toy_experiment["tracking"] |= {"register_as": "faces"}
    return ExperimentConfig.model_validate(toy_experiment)


@pytest.mark.parametrize("share", [1, 2])
def test_the_recipe_is_the_experiments(config, tmp_path, share):
    short = short_run(config, 30, str(tmp_path), "short", validated=True, share=share)
    for section in ("model", "loss", "decoder", "method", "augmentation", "optimizer", "schedule"):
        assert getattr(short, section) == getattr(config, section)
    assert short.unlabelled.active == config.unlabelled.active
    assert short.training.batch == config.training.batch // share
    assert short.data.validation == config.data.validation
    assert (short.cluster.workers, short.cluster.min_workers) == (1, None)


def test_all_that_is_due_is_due_once_at_the_end_and_nothing_leaves_the_folder(config, tmp_path):
    short = short_run(config, 30, str(tmp_path), "short", validated=True)
    plan = derive(short)
    for interval in (plan.validate_steps, plan.checkpoint_steps, plan.image_steps):
        assert [step for step in range(1, plan.steps + 1) if plan.due(step, interval)] == [WINDOW + 30]
    assert short.cluster.storage.startswith(str(tmp_path))
    assert str(tmp_path) in short.tracking.uri
    assert short.tracking.artifacts is not None
    assert short.tracking.artifacts.startswith(str(tmp_path))
    assert short.tracking.register_as is None


def test_a_run_that_is_not_validated_has_no_held_out_faces(config, tmp_path):
    assert short_run(config, 30, str(tmp_path), "short", validated=False).data.validation is None
