"""Which sets a config names: one path or several, the field's budgets, paths that any process finds."""

import pytest

from pipeline.training.config.compose import compose
from pipeline.training.config.data import DataConfig
from pipeline.training.config.experiment import ExperimentConfig


@pytest.mark.parametrize(
    ("name", "budgets"),
    [("300w", (50, 157, 315, 630)), ("wflw", (50, 375, 750, 1500)), ("aflw", (200, 1000, 2000, 4000))],
)
def test_the_fields_budgets_go_on_top_of_any_config(tmp_path, name, budgets):
    from pathlib import Path

    configs = Path(__file__).resolve().parents[4] / "configs"
    pieces = [str(configs / "laplace_300w.yaml"), str(configs / f"pieces/field_{name}.yaml")]
    path = tmp_path / "x.yaml"
    path.write_text(f"extends: {pieces}\nname: x\n")
    config = compose(path, [f"data.labelled_count={budgets[-1]}"], ExperimentConfig)
    assert config.scale.labelled == budgets
    assert config.data.labelled_count == budgets[-1]
    assert (config.data.unlabelled.remainder, config.data.unlabelled.corpora) == (True, ())
    one_path = compose(path, ["data.unlabelled=some/corpus", "data.labelled_count=null"], ExperimentConfig)
    assert one_path.data.unlabelled.corpora == ("some/corpus",)


def test_every_set_is_named_and_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = DataConfig(
        train="a",
        test="s3://bucket/b",
        unlabelled={"corpora": ["c", "d"]},
        extra=[{"set": "e", "share": 0.5}],
    )
    assert data.sets() == {
        "train": "a",
        "test": "s3://bucket/b",
        "unlabelled.corpora.0": "c",
        "unlabelled.corpora.1": "d",
        "extra.0.set": "e",
    }
    found = data.with_absolute_paths().sets()
    assert found == {
        key: path if "://" in path else f"{tmp_path}/{path}" for key, path in data.sets().items()
    }


def test_a_corpus_is_named_once():
    with pytest.raises(ValueError, match="names a set twice"):
        DataConfig(train="a", unlabelled={"corpora": ["c", "c"]})
