"""MLflow's own registry in a SQLite file: the alias moves to better models alone, and what is fetched is what was registered."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import DataError, TrackingError
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.model_registry import fetch, register
from pipeline.training.tracking import Tracker


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A store, and a way to log a run with a model in it and to register that."""
    root = tmp_path_factory.mktemp("registry")
    config = TrackingConfig(
        uri=f"sqlite:///{root}/mlflow.db", experiment="tests", artifacts=str(root / "artifacts")
    )

    def log(run: str, *, ours: bool = True, config_yaml: bool = True) -> str:
        tracker = Tracker(config, run, str(root / run), {}, {})
        folder = root / run / "models" / "best"
        folder.mkdir(parents=True)
        if ours:
            (folder / "model.json").write_text(json.dumps({"run": run}))
        (folder / "model.safetensors").write_bytes(run.encode() * 1000)
        tracker.file(str(folder.parent), "models")
        if config_yaml:
            tracker.text(f"name: {run}\n", "config.yaml")
        tracker.end("FINISHED")
        return tracker.run_id

    def add(run_id: str, name: str, nme: float | None, split: str = "split", alias: str = "best"):
        return register(config.uri, run_id, "models/best", name, alias, nme=nme, split=split)

    def bring(address: str, cache: Path):
        return fetch(address, config.uri, cache)

    log("first")  # creates the data base
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=config.uri)
    return SimpleNamespace(root=root, uri=config.uri, log=log, add=add, bring=bring, client=client)


def aliased(registry, name: str, alias: str = "best") -> str | None:
    found = registry.client.get_registered_model(name).aliases.get(alias)
    return None if found is None else str(found)


def versions(registry, name: str) -> list[str]:
    return sorted(str(v.version) for v in registry.client.search_model_versions(f"name = '{name}'"))


def contents(folder: str) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in Path(folder).iterdir()}


def test_the_alias_moves_to_a_lower_error_on_the_same_split_alone(registry):
    steps = [
        ("a", 5.0, "split", "1"),  # the first one takes it
        ("b", 5.0, "split", "1"),  # as good is not better
        ("c", 6.0, "split", "1"),
        ("d", 1.0, "another split", "1"),  # errors of two splits do not compare
        ("e", None, "split", "1"),  # never measured
        ("f", 4.999, "split", "6"),
        ("g", 4.9995, "split", "6"),
    ]
    for number, (run, nme, split, holder) in enumerate(steps, 1):
        version, moved = registry.add(registry.log(f"moves-{run}"), "moves", nme, split)
        assert version == str(number)
        assert aliased(registry, "moves") == holder
        assert moved == (holder == version)


def test_a_holder_without_an_error_keeps_the_alias(registry):
    registry.add(registry.log("unmeasured"), "unmeasured", None)
    assert registry.add(registry.log("measured"), "unmeasured", 1.0) == ("2", False)
    assert aliased(registry, "unmeasured") == "1"


def test_every_alias_has_a_holder_of_its_own(registry):
    registry.add(registry.log("alias-1"), "aliases", 3.0, alias="best")
    registry.add(registry.log("alias-2"), "aliases", 4.0, alias="trial")
    assert (aliased(registry, "aliases"), aliased(registry, "aliases", "trial")) == ("1", "2")


def test_the_same_run_again_changes_nothing(registry):
    worse, better = registry.log("again-worse"), registry.log("again-better")
    assert registry.add(worse, "again", 5.0) == ("1", True)
    assert registry.add(worse, "again", 5.0) == ("1", True)
    assert registry.add(better, "again", 4.0) == ("2", True)
    assert registry.add(worse, "again", 5.0) == ("1", False)
    assert registry.add(better, "again", 4.0) == ("2", True)
    assert versions(registry, "again") == ["1", "2"]
    assert aliased(registry, "again") == "2"


def test_a_registration_cut_short_before_the_alias_is_completed(registry):
    run_id = registry.log("cut")
    source = f"{registry.client.get_run(run_id).info.artifact_uri}/models/best"
    registry.client.create_registered_model("cut")
    registry.client.create_model_version("cut", source, run_id)
    assert registry.add(run_id, "cut", 5.0) == ("1", True)
    assert aliased(registry, "cut") == "1"


def test_a_refusal_is_a_tracking_error(registry):
    with pytest.raises(TrackingError, match=r"tracking\.register_as = a/b: the registry at sqlite:"):
        registry.add(registry.log("refused"), "a/b", 1.0)
    with pytest.raises(TrackingError, match=r"tracking\.register_as = nobody: "):
        registry.add("0" * 32, "nobody", 1.0)


def test_alias_and_version_bring_the_bytes_that_were_registered(registry, tmp_path):
    run_id = registry.log("brought")
    registry.add(run_id, "brought", 2.0)
    registry.add(registry.log("brought-worse"), "brought", 3.0)
    expected = contents(str(registry.root / "brought" / "models" / "best"))
    for address, cache in (("models:/brought@best", "a"), ("models:/brought/1", "b")):
        folder, run, config = registry.bring(address, tmp_path / cache)
        assert contents(folder) == expected
        assert (run, config) == (run_id, "name: brought\n")
        assert Path(folder).is_relative_to(tmp_path / cache)
    other, _, config = registry.bring("models:/brought/2", tmp_path / "a")
    assert contents(other)["model.json"] == b'{"run": "brought-worse"}'
    assert config == "name: brought-worse\n"


def test_a_run_without_a_config_brings_none(registry, tmp_path):
    registry.add(registry.log("bare", config_yaml=False), "bare", 2.0)
    assert registry.bring("models:/bare@best", tmp_path)[2] is None


def test_a_model_is_downloaded_once(registry, tmp_path, monkeypatch):
    import mlflow

    registry.add(registry.log("once"), "once", 2.0)
    registry.add(registry.log("once-more"), "once", 3.0)
    asked = []
    download = mlflow.artifacts.download_artifacts

    def counted(**arguments: str) -> str:
        if "artifact_uri" in arguments:  # the model; the run's config is asked for by the run's id
            asked.append(arguments["artifact_uri"])
        return download(**arguments)

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", counted)
    first = registry.bring("models:/once@best", tmp_path)
    assert (
        registry.bring("models:/once@best", tmp_path) == registry.bring("models:/once/1", tmp_path) == first
    )
    assert len(asked) == 1
    assert registry.bring("models:/once/2", tmp_path)[0] != first[0]
    assert len(asked) == 2


def test_a_moved_alias_brings_the_new_model_from_a_used_cache(registry, tmp_path):
    registry.add(registry.log("old"), "moved", 2.0)
    before, _, _ = registry.bring("models:/moved@best", tmp_path)
    registry.add(registry.log("new"), "moved", 1.0)
    after, _, _ = registry.bring("models:/moved@best", tmp_path)
    assert contents(before)["model.json"] == b'{"run": "old"}'
    assert contents(after)["model.json"] == b'{"run": "new"}'


def test_a_model_that_took_a_removed_ones_place_is_not_the_cached_one(registry, tmp_path):
    registry.add(registry.log("removed"), "place", 2.0)
    registry.bring("models:/place/1", tmp_path)
    registry.client.delete_registered_model("place")
    registry.add(registry.log("successor"), "place", 9.0)
    folder, _, _ = registry.bring("models:/place/1", tmp_path)
    assert contents(folder)["model.json"] == b'{"run": "successor"}'


def test_an_interrupted_download_is_not_taken_for_the_model(registry, tmp_path, monkeypatch):
    import mlflow

    registry.add(registry.log("interrupted"), "interrupted", 2.0)

    def broken(error: BaseException) -> Any:
        def half(*, dst_path: str, **_: object) -> None:
            (Path(dst_path) / "model.json").write_text("{")
            raise error

        return half

    for error, seen in (
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError("connection reset"), TrackingError),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(mlflow.artifacts, "download_artifacts", broken(error))
            with pytest.raises(seen):
                registry.bring("models:/interrupted@best", tmp_path)
        assert not list(tmp_path.rglob("model.json"))
        assert not list(tmp_path.glob(".download-*"))
    folder, _, _ = registry.bring("models:/interrupted@best", tmp_path)
    assert contents(folder) == contents(str(registry.root / "interrupted" / "models" / "best"))


def test_two_processes_that_bring_the_same_do_not_disturb_each_other(registry, tmp_path, monkeypatch):
    import mlflow

    registry.add(registry.log("both"), "both", 2.0)
    download = mlflow.artifacts.download_artifacts

    def while_another_is_faster(**arguments: str) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(mlflow.artifacts, "download_artifacts", download)
            faster.append(registry.bring("models:/both@best", tmp_path))
        return download(**arguments)

    faster: list = []
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", while_another_is_faster)
    assert registry.bring("models:/both@best", tmp_path) == faster[0]
    assert contents(faster[0][0]) == contents(str(registry.root / "both" / "models" / "best"))
    assert not list(tmp_path.glob(".download-*"))


@pytest.mark.parametrize(
    "address", ["models:/", "models:/faces", "models:/faces@", "models:/@best", "models:/faces/"]
)
def test_an_address_that_is_none_says_how_to_write_one(registry, tmp_path, address):
    with pytest.raises(DataError, match=r"write it as models:/NAME@ALIAS or models:/NAME/VERSION"):
        registry.bring(address, tmp_path)


def test_what_does_not_exist_is_answered_with_what_does(registry, tmp_path):
    for number in range(11):
        registry.add(registry.log(f"known-{number}"), "known", 2.0)
    for address, message in (
        (
            "models:/unknown@best",
            r"no model 'unknown' is registered at sqlite:.*known.*tracking\.register_as",
        ),
        ("models:/known@bets", "model 'known' has no alias 'bets'; it has: best$"),
        ("models:/known/12", "no version 12; it has: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11$"),
        ("models:/known/latest", "no version latest; it has: 1, "),
    ):
        with pytest.raises(DataError, match=message) as caught:
            registry.bring(address, tmp_path)
        assert str(caught.value).startswith(f"{address}: ")
    assert not list(tmp_path.iterdir())


def test_a_model_of_another_project_is_refused_and_not_kept(registry, tmp_path):
    registry.add(registry.log("foreign", ours=False), "foreign", 2.0)
    for _ in range(2):
        with pytest.raises(DataError, match=r"models:/foreign@best: its artifacts hold no model\.json"):
            registry.bring("models:/foreign@best", tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_artifacts_that_are_gone_are_a_tracking_error(registry, tmp_path):
    run_id = registry.log("gone")
    registry.add(run_id, "gone", 2.0)
    folder = Path(registry.client.get_run(run_id).info.artifact_uri.removeprefix("file://")) / "models"
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(TrackingError, match="models:/gone@best: cannot be fetched from sqlite:"):
        registry.bring("models:/gone@best", tmp_path)
