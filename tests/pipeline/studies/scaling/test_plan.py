"""A study spelled out: every cell's config, shared runs, and what is refused before anything is trained."""

from __future__ import annotations

import pytest

from pipeline.errors import ConfigError
from pipeline.studies.scaling.cells import Cell
from pipeline.studies.scaling.plan import plan_study
from pipeline.training.config.experiment import ExperimentConfig


@pytest.fixture
def grid(tmp_path, toy_experiment):
    def make(training=None, **scale):
        toy_experiment["scale"] = {"unlabelled": [20, 80], "labelled": [30], **scale}
        toy_experiment["training"] |= training or {}
        return plan_study(ExperimentConfig.model_validate(toy_experiment))

    return make


def test_cells_differ_in_what_they_compare_and_in_nothing_else(grid):
    made = grid(seeds=[3, 4], widths=[4, 8])
    assert len(made.cells) == 12
    assert set(made.cells.values()) == set(made.runs)
    config = made.runs[made.cells[Cell(30, 80, "configured", 8, 4)]]
    assert config.model.parameters["width"] == 8
    assert (config.seed, config.data.subset_seed) == (4, 4)
    assert (config.data.labelled_count, config.data.unlabelled_count) == (30, 80)
    supervised = made.runs[made.cells[Cell(30, 0, "configured", 8, 4)]]
    assert supervised.unlabelled.objective is None
    # The same length, batch and learning rate: the difference is the unlabelled faces.
    assert supervised.training == config.training
    assert supervised.optimizer == config.optimizer
    assert supervised.tune is None
    assert supervised.scale is None


def test_budgets_of_labels_alone_have_no_other_column_and_are_shared_by_the_methods(grid):
    made = grid(
        supervised_labelled=[60],
        seeds=[0, 1],
        methods={
            "weak": {"semi_supervised": {"unlabelled.objective.weight": 0.001}},
            "strong": {"semi_supervised": {"unlabelled.objective.weight": {"share": 0.1}}},
        },
    )
    alone = {c: name for c, name in made.cells.items() if c.labelled == 60}
    assert {(c.unlabelled, c.seed) for c in alone} == {(0, 0), (0, 1)}
    assert len(set(alone.values())) == 2
    assert made.facts["labelled alone"] == "60"


def test_methods_that_differ_in_the_unlabelled_part_share_their_supervised_run(grid):
    made = grid(
        methods={
            "weak": {"semi_supervised": {"unlabelled.objective.weight": 0.001}},
            "strong": {"semi_supervised": {"unlabelled.objective.weight": {"share": 0.1}}},
            "softargmax": {"set": {"loss.name": "softargmax_l2", "loss.beta": 1.0}},
        }
    )
    supervised = {m: made.cells[Cell(30, 0, m, None, 0)] for m in ("weak", "strong", "softargmax")}
    assert supervised["weak"] == supervised["strong"] != supervised["softargmax"]
    assert len(made.runs) == 8


def test_epochs_give_all_columns_of_a_label_budget_the_same_steps(grid):
    made = grid(labelled=[24, 48], training={"epochs": 2, "steps": None})
    assert {made.steps[n] for c, n in made.cells.items() if c.labelled == 24} == {6}
    assert {made.steps[n] for c, n in made.cells.items() if c.labelled == 48} == {12}


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ({"unlabelled": [91]}, "there are 90 unlabelled faces"),
        ({"labelled": [61]}, "the set 'toy' holds 60"),
        ({"methods": {"a": {"set": {"model.widht": 4}}}}, "scale, a, .*widht"),
        ({"methods": {"a": {"set": {"unlabelled.objective": None}}}}, "unlabelled.objective is null"),
        ({"methods": {"a": {"semi_supervised": {"training.steps": 24}}}}, "24 steps against 12"),
    ],
)
def test_a_cell_that_cannot_work_is_named(grid, scale, message):
    with pytest.raises(ConfigError, match=message):
        grid(**scale)


def test_a_config_without_the_section_says_what_to_write(toy_experiment):
    with pytest.raises(ConfigError, match="scale.unlabelled"):
        plan_study(ExperimentConfig.model_validate(toy_experiment))


def test_a_measurement_that_a_study_does_not_make_is_refused(toy_experiment):
    toy_experiment |= {"scale": {"unlabelled": [20], "labelled": [30]}, "evaluation": {"flip_test": True}}
    with pytest.raises(ConfigError, match=r"evaluation.flip_test: a study measures the test set as it is"):
        plan_study(ExperimentConfig.model_validate(toy_experiment))
